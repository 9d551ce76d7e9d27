"""All of the audit log, or the part of some time, as lines of a hash chain."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from contracts.audit_chain import AuditChain
from db.engine import Database
from db.protection_models import AuditEntry

PAGE: Final = 500


async def lines(database: Database, *, since: datetime | None, until: datetime) -> AsyncGenerator[str]:
    """The entries from `since` (inclusive) to `until` (exclusive), in the order of their ids, and the chain's last line.

    Pages are transactions of their own: nothing is ever changed in between. Raises DatabaseUnavailable.
    """
    chain, after = AuditChain(), UUID(int=0)
    while True:
        query = select(AuditEntry).where(col(AuditEntry.id) > after, AuditEntry.created_at < until)
        if since is not None:
            query = query.where(AuditEntry.created_at >= since)
        async with database.transaction() as session:
            page = (await session.exec(query.order_by(col(AuditEntry.id)).limit(PAGE))).all()
        for entry in page:
            yield chain.line(entry.model_dump(mode="json"))
        if len(page) < PAGE:
            break
        after = page[-1].id
    yield chain.end()
