"""The reconciler's findings: written down once, listed for operators, forgotten after a quarter of a year."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.operation_models import Finding, Notice


async def record(session: AsyncSession, finding: Finding) -> None:
    """Write a finding down."""
    session.add(finding)
    await session.flush()


async def is_known(session: AsyncSession, finding: Finding, *, since: datetime) -> bool:
    """Whether the same was found, with the same outcome, since then."""
    subject = ("generation_id", "spend_id", "asset_id", "object_key")
    # Not "is not distinct from": that uses no index.
    same = [col(getattr(Finding, name)) == getattr(finding, name) for name in subject]
    query = select(Finding.id).where(
        Finding.kind == finding.kind, Finding.action == finding.action, Finding.created_at > since, *same
    )
    return (await session.exec(query.limit(1))).first() is not None


async def page(
    session: AsyncSession, *, kind: str | None, generation_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[Finding]:
    """Newest first, at most `limit`; `before` is the last id of the page before."""
    query = select(Finding)
    if kind is not None:
        query = query.where(Finding.kind == kind)
    if generation_id is not None:
        query = query.where(Finding.generation_id == generation_id)
    if before is not None:
        query = query.where(col(Finding.id) < before)
    return (await session.exec(query.order_by(col(Finding.id).desc()).limit(limit))).all()


async def old_rows(session: AsyncSession, *, notices: datetime, findings: datetime, limit: int) -> int:
    """How many notices and findings are older than these times; counts to `limit` of each."""
    old_notices = select(Notice.id).where(Notice.received_at < notices).limit(limit)
    old_findings = select(Finding.id).where(Finding.created_at < findings).limit(limit)
    return len((await session.exec(old_notices)).all()) + len((await session.exec(old_findings)).all())


async def purge(session: AsyncSession, *, notices: datetime, findings: datetime, limit: int) -> None:
    """Forget notices and findings that are older than these times, at most `limit` of each."""
    old_notices = select(Notice.id).where(Notice.received_at < notices).limit(limit)
    old_findings = select(Finding.id).where(Finding.created_at < findings).limit(limit)
    await session.exec(delete(Notice).where(col(Notice.id).in_(old_notices)))
    await session.exec(delete(Finding).where(col(Finding.id).in_(old_findings)))
