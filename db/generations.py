"""Queries on generations as the API and the dispatcher need them; a generation's life in the worker is in db/lives.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Uuid, bindparam, func, text, update
from sqlalchemy import select as select_columns
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.names import CHANNEL_CANCEL
from contracts.statuses import Kind, Status
from contracts.tiers import Allowance
from db import events, quotas
from db.columns import now
from db.models import Generation
from db.prepared import as_model, run

LIVE = (Status.queued, Status.running)
LIMITLESS = Allowance(requests_per_minute=None, in_flight=None, per_day=None, weight=1.0)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which generations to list; None means any. `before` is the last id of the page before."""

    status: Status | None = None
    kind: Kind | None = None
    session_id: str | None = None
    user_id: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """A request that was accepted before, and the answer that it had."""

    id: UUID
    request_hash: str
    acceptance: dict[str, Any]


COLUMNS = Generation.metadata.tables["generation"].columns
# Text and not expressions, and one round trip: built anew for each request, they cost more than PostgreSQL's own work
# (3.9 against 2.6 ms CPU a request). What may be of the tenant's is counted in it, too: who accepts next for the tenant waits
# for the commit, and no longer. Nobody can follow a generation before its commit, so nobody needs a notification.
ACCEPT = text(
    f"""
    with room as (
        select under_way, of_the_day from {quotas.ROOM}
    ), accepted as (
        insert into generation ({", ".join(column.name for column in COLUMNS)})
        select {", ".join(f":{column.name}" for column in COLUMNS)} from room
        where coalesce(under_way < :most_under_way, true) and coalesce(of_the_day < :most_of_the_day, true)
        on conflict do nothing
        returning id, created_at
    ), told as (
        insert into event (generation_id, seq, type, data, created_at)
        select id, 1, 'generation.queued', :event_data, created_at from accepted
        returning generation_id
    )
    select (select generation_id from told) as id, under_way, of_the_day from room
    """  # noqa: S608 column names of our own table
).bindparams(bindparam("event_data", type_=JSONB), *(bindparam(column.name, type_=column.type) for column in COLUMNS))
BY_KEY = text(
    "select id, request_hash, acceptance from generation where tenant_id = :tenant_id and idempotency_key = :key"
).columns(id=COLUMNS.id.type, request_hash=COLUMNS.request_hash.type, acceptance=COLUMNS.acceptance.type)
# Written for each acceptance. In one order with others who lock many.
DISPATCHED = text(
    """
    update generation set dispatched_at = :at where id in (
        select generation.id from generation join unnest(:ids, :runs) as begun(id, run) using (id, run)
        order by generation.id for update of generation
    )
    """
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("runs", type_=ARRAY(Integer)),
    bindparam("at", type_=COLUMNS.dispatched_at.type),
)
# Read more often than anything else: built once, and without the session's identity map.
SHOWN = select_columns(*COLUMNS).where(
    COLUMNS.id == bindparam("generation_id"), COLUMNS.tenant_id == bindparam("tenant_id"), COLUMNS.deleted_at.is_(None)
)


async def accept(session: AsyncSession, generation: Generation, allowance: Allowance = LIMITLESS) -> bool:
    """Insert an accepted request with its first event, if the tenant may have one more. One statement.

    False: its idempotency key is taken, and nothing was written. Raises QueueFull, DailyQuotaExhausted.
    """
    generation.event_seq = 1
    moment = quotas.accepted_at(generation.id)
    counted = quotas.counted_by(generation.tenant_id, allowance, moment)
    values = {**generation.model_dump(), **counted, "event_data": {"kind": generation.kind}}
    room = (await run(session, ACCEPT, values)).one()
    quotas.check(allowance, moment, room.under_way, room.of_the_day)
    return room.id is not None


async def by_idempotency_key(session: AsyncSession, tenant_id: UUID, key: str) -> Before | None:
    """What was accepted with this key."""
    row = (await run(session, BY_KEY, {"tenant_id": tenant_id, "key": key})).first()
    return None if row is None else Before(row.id, row.request_hash, row.acceptance)


async def shown(session: AsyncSession, tenant_id: UUID, generation_id: UUID) -> Generation | None:
    """A generation as it stands, watched by no session, if it belongs to the tenant and is not deleted. One statement."""
    found = await run(session, SHOWN, {"tenant_id": tenant_id, "generation_id": generation_id})
    return as_model(Generation, found.mappings().one_or_none())


async def of_tenant(
    session: AsyncSession, tenant_id: UUID, generation_id: UUID, *, lock: bool = False
) -> Generation | None:
    """A generation, if it belongs to the tenant and is not deleted; `lock` keeps others from changing it meanwhile."""
    query = select(Generation).where(
        Generation.id == generation_id, Generation.tenant_id == tenant_id, col(Generation.deleted_at).is_(None)
    )
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def page(session: AsyncSession, tenant_id: UUID, wanted: Filter, *, limit: int) -> Sequence[Generation]:
    """Newest first, at most `limit` rows."""
    query = select(Generation).where(Generation.tenant_id == tenant_id, col(Generation.deleted_at).is_(None))
    conditions: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
        (wanted.status, col(Generation.status).__eq__),
        (wanted.kind, col(Generation.kind).__eq__),
        (wanted.session_id, col(Generation.session_id).__eq__),
        (wanted.user_id, col(Generation.user_id).__eq__),
        (wanted.tag, lambda tag: col(Generation.tags).contains([tag])),
        (wanted.created_after, col(Generation.created_at).__ge__),
        (wanted.created_before, col(Generation.created_at).__lt__),
        (wanted.before, col(Generation.id).__lt__),
    ]
    query = query.where(*(condition(value) for value, condition in conditions if value is not None))
    return (await session.exec(query.order_by(col(Generation.id).desc()).limit(limit))).all()


async def live_count(session: AsyncSession) -> int:
    """How many accepted generations have not ended, over all tenants."""
    return (await session.exec(select(func.count()).where(col(Generation.status).in_(LIVE)))).one()


async def of_run(session: AsyncSession, generation_id: UUID) -> Generation | None:
    """The generation, whoever it belongs to: for the reconciler and for operators."""
    return await session.get(Generation, generation_id)


async def request_cancel(session: AsyncSession, generation: Generation) -> None:
    """Write down that the client wants to stop, tell followers, and wake whoever works on it. Repeating changes nothing."""
    requested = await session.exec(
        update(Generation)
        .where(col(Generation.id) == generation.id, col(Generation.cancel_requested_at).is_(None))
        .values(cancel_requested_at=now())
        .returning(col(Generation.id))
    )
    if requested.scalar_one_or_none() is not None:
        await events.append(session, generation.id, "generation.cancel_requested")
    await wake_for_cancel(session, generation.id)


async def wake_for_cancel(session: AsyncSession, generation_id: UUID) -> None:
    """Make whoever works on this generation look whether its client wants to stop."""
    await session.exec(select(func.pg_notify(CHANNEL_CANCEL, str(generation_id))))


async def undispatched(session: AsyncSession, *, older_than: timedelta, limit: int) -> Sequence[Generation]:
    """Accepted generations whose workflow has not been started, oldest first."""
    query = select(Generation).where(
        col(Generation.dispatched_at).is_(None),
        Generation.status == Status.queued,
        Generation.created_at < now() - older_than,
    )
    return (await session.exec(query.order_by(col(Generation.id)).limit(limit))).all()


async def mark_dispatched(session: AsyncSession, runs: Sequence[tuple[UUID, int]]) -> None:
    """Note that the engine has the workflows of these runs; a generation that was reopened meanwhile has not. One statement."""
    ids, numbers = [generation_id for generation_id, _ in runs], [number for _, number in runs]
    await run(session, DISPATCHED, {"ids": ids, "runs": numbers, "at": now()})


async def deleted_of_session(session: AsyncSession, tenant_id: UUID, session_id: str) -> Sequence[Generation]:
    """The generations of a session that its owner deleted."""
    query = select(Generation).where(
        Generation.tenant_id == tenant_id,
        Generation.session_id == session_id,
        col(Generation.deleted_at).is_not(None),
    )
    return (await session.exec(query)).all()
