"""The breakers' rows: each move is made under the row's lock, with an event and a notification in the same transaction.

The rule is `db.breaker_rule`; an empty model stands for the provider as a whole. The order of locks is in `db.traffic`.
"""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from sqlalchemy import func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.names import CHANNEL_STANDING
from contracts.standing import BreakerState
from db import breaker_rule
from db.breaker_rule import BreakerFacts, Window
from db.columns import now
from db.standing_models import Breaker, ProviderEvent

Key = tuple[str, str]
Known = Callable[[Key], bool]

# Longer than a probe may take, so that two never probe at once; a prober that died is replaced after it.
PROBE_LEASE: Final = timedelta(seconds=30)
EVENT: Final = {
    BreakerState.open: "breaker.opened",
    BreakerState.half_open: "breaker.half_opened",
    BreakerState.closed: "breaker.closed",
}


async def locked(session: AsyncSession, key: Key) -> Breaker:
    """The breaker's row, made when it is new, and locked until the transaction ends."""
    values = Breaker(provider=key[0], model=key[1]).model_dump()
    await session.exec(insert(Breaker).values(**values).on_conflict_do_nothing())
    return (await session.exec(_row(key).with_for_update())).one()


async def record_failure(session: AsyncSession, row: Breaker, *, cause: str, at_once: bool, window: Window) -> None:
    """One more failure, which `window` counts already; `row` is locked."""
    after = breaker_rule.failed(_facts(row), cause=cause, at=now(), window=window, at_once=at_once)
    await _move(session, row, after)


async def record_success(session: AsyncSession, key: Key, count: int) -> None:
    """So many finished pictures; costs one look where nothing has failed."""
    waiting = or_(col(Breaker.failures) > 0, col(Breaker.state) == BreakerState.half_open)
    row = (await session.exec(_row(key).where(waiting).with_for_update())).one_or_none()
    if row is not None:
        await _move(session, row, breaker_rule.succeeded(_facts(row), count=count))


async def record_end(session: AsyncSession, provider: str, model: str) -> None:
    """A purchase ended in a way that says nothing about health: when it was a trial, another may be made."""
    for key in ((provider, ""), (provider, model)):
        row = (await session.exec(_half_open(key))).one_or_none()
        if row is not None:
            await _move(session, row, breaker_rule.ended(_facts(row)))


async def take_trial(session: AsyncSession, provider: str, model: str) -> bool:
    """Let one purchase through where a breaker is half open; False: there are enough of them, or it is open."""
    moves: list[tuple[Breaker, BreakerFacts]] = []
    for key in ((provider, ""), (provider, model)):
        row = (await session.exec(_row(key).with_for_update())).one_or_none()
        after = breaker_rule.tried(_facts(row), at=now()) if row is not None else None
        if row is not None and after is None:
            return False
        if row is not None and after is not None:
            moves.append((row, after))
    for row, after in moves:
        await _move(session, row, after)
    return True


async def claim_probes(
    session: AsyncSession, providers: Collection[str], *, known: Known = lambda _: True
) -> list[Key]:
    """The open breakers of these providers that are to be probed now, each by whoever claimed it only; those `known` here."""
    at = now()
    due = select(Breaker).where(
        col(Breaker.state) == BreakerState.open,
        col(Breaker.provider).in_(sorted(providers)),
        col(Breaker.retry_at) <= at,
        or_(col(Breaker.probing_until).is_(None), col(Breaker.probing_until) < at),
    )
    rows = (await session.exec(due.order_by(col(Breaker.provider), col(Breaker.model)).with_for_update())).all()
    claimed = [row for row in rows if known((row.provider, row.model))]
    for row in claimed:
        row.probing_until = at + PROBE_LEASE
    return [(row.provider, row.model) for row in claimed]


async def record_probe(session: AsyncSession, key: Key, *, well: bool) -> None:
    """How a claimed probe ended."""
    row = (await session.exec(_row(key).with_for_update())).one_or_none()
    if row is not None:
        row.probing_until = None
        await _move(session, row, breaker_rule.probed(_facts(row), well=well, at=now()))


def _row(key: Key) -> SelectOfScalar[Breaker]:
    return select(Breaker).where(Breaker.provider == key[0], Breaker.model == key[1])


def _half_open(key: Key) -> SelectOfScalar[Breaker]:
    return _row(key).where(col(Breaker.state) == BreakerState.half_open).with_for_update()


def _facts(row: Breaker) -> BreakerFacts:
    return BreakerFacts(
        state=row.state,
        failures=row.failures,
        successes=row.successes,
        openings=row.openings,
        trials=row.trials,
        cause=row.cause,
        opened_at=row.opened_at,
        retry_at=row.retry_at,
        trial_at=row.trial_at,
    )


async def _move(session: AsyncSession, row: Breaker, after: BreakerFacts) -> None:
    before = _facts(row)
    for name in BreakerFacts.__slots__:
        setattr(row, name, getattr(after, name))
    if before.state is not after.state:
        row.changed_at = now()
        data = {"from": before.state.value, "cause": after.cause or before.cause, "openings": after.openings}
        session.add(ProviderEvent(provider=row.provider, model=row.model, type=EVENT[after.state], data=data))
    session.add(row)
    await session.flush()
    if before.state is not after.state:
        await session.exec(select(func.pg_notify(CHANNEL_STANDING, row.provider)))
