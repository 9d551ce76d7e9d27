"""Events of a generation: appended in the transaction that makes them true, numbered without gaps."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Executable, Integer, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.names import CHANNEL_ENDED, CHANNEL_EVENT
from db.models import Event
from db.prepared import run, table_of

REOPENED = "generation.reopened"  # an operator decided, or the engine lost the run: the generation goes on

# One round trip: the counter on the generation's row is also the lock that keeps numbers without gaps, and the
# notification goes out at commit. A generation whose words were taken out gets no new ones, whoever is late.
APPEND = text(
    """
    with counted as (
        update generation
        set event_seq = event_seq + 1,
            stage = case when request ? 'erased' then stage else coalesce(cast(:stage as text), stage) end,
            progress = coalesce(cast(:progress as float), progress)
        where id = :generation_id
        returning event_seq, request ? 'erased' as erased
    ), added as (
        insert into event (generation_id, seq, type, data, created_at)
        select :generation_id, event_seq, :type, case when erased then '{}' else cast(:data as jsonb) end, clock_timestamp()
        from counted
        returning seq
    )
    select
        seq,
        pg_notify(:channel, cast(:generation_id as text)),
        case when :ended then pg_notify(:ended_channel, cast(:generation_id as text)) end
    from added
    """
).bindparams(bindparam("data", type_=JSONB), bindparam("ended", type_=Boolean))


async def append(
    session: AsyncSession,
    generation_id: UUID,
    kind: str,
    data: Mapping[str, Any] | None = None,
    *,
    stage: str | None = None,
    progress: float | None = None,
    ended: bool = False,
) -> int:
    """Add an event and wake those who follow the generation; returns its number.

    `stage` (words for people) and `progress` (0..1 of the whole generation) go onto the generation's row; `ended` wakes
    those, too, who wait for nothing but the end.
    """
    values = {"generation_id": generation_id, "type": kind, "data": dict(data or {}), "channel": CHANNEL_EVENT}
    connection = await session.connection()
    row = await connection.execute(
        APPEND, values | {"stage": stage, "progress": progress, "ended": ended, "ended_channel": CHANNEL_ENDED}
    )
    return int(row.scalar_one())


async def after(session: AsyncSession, generation_id: UUID, seq: int, *, limit: int = 500) -> Sequence[Event]:
    """The events behind number `seq`, in order."""
    rows = await run(session, _after(), {"generation_id": generation_id, "seq": seq, "at_most": limit})
    return [Event(**row) for row in rows.mappings()]


@cache
def _after() -> Executable:
    table = table_of(Event)
    here = [table.c.generation_id == bindparam("generation_id"), table.c.seq > bindparam("seq", type_=Integer)]
    return select(table).where(*here).order_by(table.c.seq).limit(bindparam("at_most", type_=Integer))
