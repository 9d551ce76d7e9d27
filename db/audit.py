"""The audit log: who decided what, about whom, when, and from where. It is only ever added to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import literal
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.models import ApiKey
from db.protection_models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides: `key:<id>`, `command` (the command line on a server of ours) or `service` (nobody asked for it).

    `address`: the client's, `request_id`: of the request that decided it, where there was one.
    """

    name: str
    address: str | None = None
    request_id: str | None = None


OF_KEY: Final = "key:"
COMMAND: Final = Actor("command")
SERVICE: Final = Actor("service")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; None means any. `before` is the last id of the page before; `after` is inclusive.

    `not_by_keys_of`: only what was decided by others than the keys of this tenant that are no operator's.
    """

    tenant_id: UUID | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    subject_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before: UUID | None = None
    not_by_keys_of: UUID | None = None


async def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    subject: str,
    subject_id: str = "",
    *,
    tenant_id: UUID | None = None,
    note: str = "",
    **facts: Any,
) -> None:
    """Write down a decision in the transaction that carries it out: `record(session, actor, "key.revoked", "key", key.id)`.

    `action` is `noun.done`; `facts` become JSON: money, ids and times as text. No prompts, no secrets. `tenant_id`: whose
    matter it is, and whose admin keys may read it; without one only operators may.
    """
    entry = AuditEntry(
        tenant_id=tenant_id,
        actor=actor.name,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        subject=subject,
        subject_id=subject_id,
        note=note,
        facts={name: _plain(value) for name, value in facts.items()},
    )
    session.add(entry)
    await session.flush()


async def page(session: AsyncSession, wanted: Filter, *, limit: int) -> Sequence[AuditEntry]:
    """Newest first, at most `limit` entries."""
    same: dict[Any, Any] = {
        AuditEntry.tenant_id: wanted.tenant_id,
        AuditEntry.actor: wanted.actor,
        AuditEntry.action: wanted.action,
        AuditEntry.subject: wanted.subject,
        AuditEntry.subject_id: wanted.subject_id,
    }
    query = select(AuditEntry).where(*(column == value for column, value in same.items() if value is not None))
    if wanted.created_after is not None:
        query = query.where(AuditEntry.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(AuditEntry.created_at < wanted.created_before)
    if wanted.before is not None:
        query = query.where(AuditEntry.id < wanted.before)
    if wanted.not_by_keys_of is not None:
        own = select(literal(OF_KEY) + ApiKey.id).where(
            ApiKey.tenant_id == wanted.not_by_keys_of, col(ApiKey.operator).is_(False)
        )
        query = query.where(col(AuditEntry.actor).not_in(own))
    return (await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit))).all()


def _plain(value: Any) -> Any:
    """The value as JSON knows it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
