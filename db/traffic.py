"""What came of purchases, counted by the minute: what standings are made of.

A finished picture counts for its model and for its provider. A failure counts where its cause is: for the model, or, with an
empty model, for the provider as a whole.

Rows are locked in one order everywhere, so that writers wait for each other and never for ever: those of traffic first, then
how busy a provider is, then breakers, then lanes; of each kind by provider and model, a provider as a whole before its models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from sqlalchemy import ARRAY, DateTime, Executable, Integer, bindparam, delete, func, text
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.names import CHANNEL_STANDING
from db import breakers, latency
from db.breaker_rule import Window
from db.columns import now
from db.prepared import run, table_of
from db.standing_models import Breaker, ProviderEvent, TrafficMinute
from db.standings import Key, since

ADD: Final = text(
    """
    insert into traffic (provider, model, minute, successes, failures, busy, took)
    values (:provider, :model, :minute, :successes, :failures, :busy, :took)
    on conflict (provider, model, minute) do update set
        successes = traffic.successes + excluded.successes,
        failures = traffic.failures + excluded.failures,
        busy = traffic.busy + excluded.busy,
        took = (
            select array_agg(coalesce(before, 0) + coalesce(more, 0) order by range)
            from unnest(traffic.took, excluded.took) with ordinality as both_(before, more, range)
        )
    """
).bindparams(
    bindparam("minute", type_=DateTime(timezone=True)),
    bindparam("took", type_=ARRAY(Integer)),
    *(bindparam(name, type_=Integer) for name in ("successes", "failures", "busy")),
)
WAIT, WAIT_TO_READ = (
    text(
        f"""
        insert into busy (provider, {what}) values (:provider, :until)
        on conflict (provider) do update set {what} = greatest(busy.{what}, excluded.{what})
        """  # noqa: S608 - words of ours only
    ).bindparams(bindparam("until", type_=DateTime(timezone=True)))
    for what in ("busy_until", "reads_busy_until")
)
# What one answer makes the whole fleet wait at most: the providers count their limits by the minute, and who asks too early is
# told so once more. The purchase that was answered waits for as long as it was told.
LONGEST_BUSY: Final = timedelta(seconds=60)
TRAFFIC_KEPT: Final = timedelta(hours=24)
EVENTS_KEPT: Final = timedelta(days=90)


@dataclass(slots=True)
class Tally:
    """What a worker counted since it last wrote: finished pictures, and how long purchases took (seconds)."""

    successes: int = 0
    took: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure that says something about health. `model` is empty when the provider as a whole is the cause.

    `at_once`: one such failure is enough for the breaker, because the next purchase cannot end otherwise.
    """

    provider: str
    model: str
    cause: str
    at_once: bool = False


async def record_tallies(session: AsyncSession, tallies: Mapping[Key, Tally]) -> None:
    """Add finished pictures of some models, and of their providers; breakers that wait for successes hear of them."""
    totals = sorted(_with_providers(tallies).items())
    for key, tally in totals:
        await _add(session, key, successes=tally.successes, took=latency.counted(tally.took))
    for key, tally in totals:
        if tally.successes:
            await breakers.record_success(session, key, tally.successes)


async def record_fault(session: AsyncSession, fault: Fault) -> None:
    """Count a failure, and open the breaker when it is one too many."""
    key = fault.provider, fault.model
    await _add(session, key, failures=1)
    row = await breakers.locked(session, key)
    window = await _window(session, row)
    await breakers.record_failure(session, row, cause=fault.cause, at_once=fault.at_once, window=window)


async def record_busy(
    session: AsyncSession, provider: str, model: str, until: datetime, *, ends_trial: bool = False
) -> None:
    """The provider told one of us to buy later: all wait until then, or for LONGEST_BUSY. Another may try instead of a trial."""
    await _add(session, (provider, model), busy=1)
    await _wait(session, WAIT, provider, until)
    if ends_trial:
        await breakers.record_end(session, provider, model)


async def record_reads_busy(session: AsyncSession, provider: str, until: datetime) -> None:
    """The provider told one of us to look later: all wait with their looks until then, or for LONGEST_BUSY."""
    await _wait(session, WAIT_TO_READ, provider, until)


async def old_rows(session: AsyncSession, *, limit: int) -> int:
    """How many rows `purge` would forget; counts to `limit` of each kind."""
    minutes = select(TrafficMinute.minute).where(TrafficMinute.minute < now() - TRAFFIC_KEPT).limit(limit)
    told = select(ProviderEvent.id).where(ProviderEvent.created_at < now() - EVENTS_KEPT).limit(limit)
    return len((await session.exec(minutes)).all()) + len((await session.exec(told)).all())


async def purge(session: AsyncSession) -> None:
    """Forget traffic of more than a day ago, and events of more than 90 days ago."""
    await session.exec(delete(TrafficMinute).where(col(TrafficMinute.minute) < now() - TRAFFIC_KEPT))
    await session.exec(delete(ProviderEvent).where(col(ProviderEvent.created_at) < now() - EVENTS_KEPT))


async def _wait(session: AsyncSession, statement: Executable, provider: str, until: datetime) -> None:
    await run(session, statement, {"provider": provider, "until": min(until, now() + LONGEST_BUSY)})
    await session.exec(select(func.pg_notify(CHANNEL_STANDING, provider)))


def _with_providers(tallies: Mapping[Key, Tally]) -> dict[Key, Tally]:
    total: dict[Key, Tally] = {}
    for (provider, model), tally in tallies.items():
        for key in ((provider, model), (provider, "")):
            sum_ = total.setdefault(key, Tally())
            sum_.successes += tally.successes
            sum_.took += tally.took
    return total


async def _add(
    session: AsyncSession, key: Key, *, successes: int = 0, failures: int = 0, busy: int = 0, took: Sequence[int] = ()
) -> None:
    minute = now().replace(second=0, microsecond=0)
    values = {"provider": key[0], "model": key[1], "minute": minute, "took": list(took) or latency.counted(())}
    await run(session, ADD, values | {"successes": successes, "failures": failures, "busy": busy})


async def _window(session: AsyncSession, row: Breaker) -> Window:
    """What came of the last minutes; of those after its last change only, where the breaker was open before."""
    begin = since(now())
    if row.opened_at is not None:
        begin = max(begin, row.changed_at.replace(second=0, microsecond=0) + timedelta(minutes=1))
    values = {"provider": row.provider, "model": row.model, "begin": begin}
    found = (await run(session, _summing(), values)).one()
    return Window(successes=int(found.successes), failures=int(found.failures))


@cache
def _summing() -> Executable:
    table = table_of(TrafficMinute)
    sums = (func.coalesce(func.sum(column), 0).label(column.name) for column in (table.c.successes, table.c.failures))
    return select_columns(*sums).where(
        table.c.provider == bindparam("provider"),
        table.c.model == bindparam("model"),
        table.c.minute >= bindparam("begin", type_=DateTime(timezone=True)),
    )
