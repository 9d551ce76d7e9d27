"""How all providers and models stand, read in one statement that touches no purchase: small tables, and the last minutes."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import JSON, DateTime, TextualSelect, bindparam, column, text
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.standing import BreakerState, LaneMode, Standing, Standings, Traffic
from db import latency
from db.breaker_rule import BreakerFacts, may_try
from db.columns import now

WINDOW: Final = timedelta(minutes=5)
# How fast somebody is now is said by the newest minutes that have so many purchases, and by fewer only where there are no more.
NEWEST_SAMPLES: Final = 10
FEWEST_SAMPLES: Final = 5  # to say what is usual

Key = tuple[str, str]
Row = Mapping[str, Any]


async def read(session: AsyncSession, *, at: datetime | None = None) -> Standings:
    """All that is known of the last five minutes, for whoever chooses or shows."""
    at = at or now()
    connection = await session.connection()
    found = (await connection.execute(statement(), {"since": since(at)})).mappings().one()
    lanes, breakers, busy, traffic = (_by_key(found[name]) for name in ("lanes", "breakers", "busy", "traffic"))
    keys = sorted({*lanes, *breakers, *busy, *traffic})
    return Standings(
        rows=tuple(
            _standing(key, lanes.get(key), breakers.get(key), busy.get(key), traffic.get(key), at=at) for key in keys
        )
    )


def since(at: datetime) -> datetime:
    """The begin of the first minute that counts."""
    return (at - WINDOW).replace(second=0, microsecond=0)


@cache
def statement() -> TextualSelect:
    """What `read` asks; a test looks at its plan."""
    parts = {
        "lanes": "select provider, model, mode, creates_per_minute from lane",
        "breakers": "select provider, model, state, trials, trial_at, opened_at, changed_at from breaker",
        "busy": "select provider, '' as model, busy_until, reads_busy_until from busy",
        # One row for all minutes of a model: less to send, and to read.
        "traffic": "select provider, model, sum(successes) as successes, sum(failures) as failures, sum(busy) as busy,"
        " json_agg(took order by minute desc) as newest_first"
        " from traffic where minute >= :since group by provider, model",
    }
    columns = (
        f"(select coalesce(json_agg(one), '[]') from ({part}) as one) as {name}"  # noqa: S608 - words of ours only
        for name, part in parts.items()
    )
    query = text(f"select {', '.join(columns)}")
    asked = query.bindparams(bindparam("since", type_=DateTime(timezone=True)))
    return asked.columns(*(column(name, JSON) for name in parts))


def _standing(
    key: Key, lane: Row | None, breaker: Row | None, busy: Row | None, traffic: Row | None, *, at: datetime
) -> Standing:
    facts = _facts(breaker) if breaker else BreakerFacts()
    return Standing(
        provider=key[0],
        model=key[1],
        breaker=facts.state,
        breaker_since=_time(breaker["changed_at"]) if breaker else None,
        may_try=may_try(facts, at=at),
        mode=LaneMode(lane["mode"]) if lane else LaneMode.active,
        creates_per_minute=lane["creates_per_minute"] if lane else None,
        busy_until=_later(busy, "busy_until", at),
        reads_busy_until=_later(busy, "reads_busy_until", at),
        traffic=_traffic(traffic) if traffic else Traffic(),
    )


def _later(busy: Row | None, what: str, at: datetime) -> datetime | None:
    """A time that was told; None when it is over."""
    until = _time(busy[what]) if busy and busy[what] else None
    return until if until and until > at else None


def _facts(row: Row) -> BreakerFacts:
    return BreakerFacts(
        state=BreakerState(row["state"]),
        trials=row["trials"],
        trial_at=_time(row["trial_at"]) if row["trial_at"] else None,
    )


def _traffic(row: Row) -> Traffic:
    newest, before = _parted(row["newest_first"])
    return Traffic(
        successes=row["successes"],
        failures=row["failures"],
        busy=row["busy"],
        samples=sum(newest),
        p50_s=latency.quantile(newest, 0.5),
        p90_s=latency.quantile(newest, 0.9),
        usual_s=latency.quantile(before, 0.5) if sum(before) >= FEWEST_SAMPLES else None,
    )


def _parted(newest_first: list[list[int]]) -> tuple[list[int], list[int]]:
    """The counts of the newest minutes with enough samples, and of those before."""
    samples = 0
    for position, took in enumerate(newest_first):
        samples += sum(took)
        if samples >= NEWEST_SAMPLES:
            return latency.added(newest_first[: position + 1]), latency.added(newest_first[position + 1 :])
    return latency.added(newest_first), []


def _by_key(rows: Iterable[Row]) -> dict[Key, Row]:
    return {_key(row): row for row in rows}


def _key(row: Row) -> Key:
    return row["provider"], row["model"]


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)
