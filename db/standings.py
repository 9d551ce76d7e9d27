"""How all providers and models stand, read in one statement that touches no purchase: small tables, and the last minutes."""

from collections import defaultdict
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
    lanes, breakers, busy = _by_key(found["lanes"]), _by_key(found["breakers"]), _by_key(found["busy"])
    minutes: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in found["traffic"]:
        minutes[_key(row)].append(row)
    keys = sorted({*lanes, *breakers, *busy, *minutes})
    return Standings(
        rows=tuple(
            _standing(key, lanes.get(key), breakers.get(key), busy.get(key), minutes[key], at=at) for key in keys
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
        "busy": "select provider, '' as model, busy_until from busy",
        "traffic": "select provider, model, minute, successes, failures, busy, took from traffic where minute >= :since",
    }
    columns = (
        f"(select coalesce(json_agg(one), '[]') from ({part}) as one) as {name}"  # noqa: S608 - words of ours only
        for name, part in parts.items()
    )
    query = text(f"select {', '.join(columns)}")
    asked = query.bindparams(bindparam("since", type_=DateTime(timezone=True)))
    return asked.columns(*(column(name, JSON) for name in parts))


def _standing(
    key: Key, lane: Row | None, breaker: Row | None, busy: Row | None, minutes: list[Row], *, at: datetime
) -> Standing:
    facts = _facts(breaker) if breaker else BreakerFacts()
    busy_until = _time(busy["busy_until"]) if busy else None
    return Standing(
        provider=key[0],
        model=key[1],
        breaker=facts.state,
        breaker_since=_time(breaker["changed_at"]) if breaker else None,
        may_try=may_try(facts, at=at),
        mode=LaneMode(lane["mode"]) if lane else LaneMode.active,
        creates_per_minute=lane["creates_per_minute"] if lane else None,
        busy_until=busy_until if busy_until and busy_until > at else None,
        traffic=_traffic(minutes),
    )


def _facts(row: Row) -> BreakerFacts:
    return BreakerFacts(
        state=BreakerState(row["state"]),
        trials=row["trials"],
        trial_at=_time(row["trial_at"]) if row["trial_at"] else None,
    )


def _traffic(minutes: list[Row]) -> Traffic:
    newest_first = [row["took"] for row in sorted(minutes, key=lambda row: _time(row["minute"]), reverse=True)]
    newest, before = _parted(newest_first)
    return Traffic(
        successes=sum(row["successes"] for row in minutes),
        failures=sum(row["failures"] for row in minutes),
        busy=sum(row["busy"] for row in minutes),
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
