"""How fast somebody may ask: PostgreSQL against a model of the algorithm in whole microseconds, and many at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db.engine import Database
from db.rate_limits import WINDOW_US, Rate, Standing, take
from tests.integration.patience import PATIENT

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
# Pauses that are long, short, none, and some microseconds beside the pace of a limit.
PAUSES = st.one_of(
    st.just(0),
    st.integers(0, 3 * WINDOW_US),
    st.builds(
        lambda per_minute, beside: max(0, WINDOW_US // per_minute + beside), st.integers(1, 90), st.integers(-2, 2)
    ),
)


@pytest.fixture(scope="module")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=10, patience=PATIENT)
    yield database
    await database.close()


@dataclass
class Model:
    """The same rule, told another way: what was admitted drains at the pace, and at most a minute's worth may be in."""

    per_minute: int
    now_us: int = 0
    drained_at_us: int = 0
    admitted_us: list[int] = field(default_factory=list)

    def ask(self) -> bool:
        pace_us = WINDOW_US // self.per_minute
        in_it_us = max(0, self.drained_at_us - self.now_us)
        if in_it_us + pace_us > pace_us * self.per_minute:
            return False
        self.drained_at_us = self.now_us + in_it_us + pace_us
        self.admitted_us.append(self.now_us)
        return True


async def _ask(database: Database, name: str, per_minute: int, moment: datetime | None = None) -> Standing:
    (standing,) = await take(database, [Rate(name, per_minute)], moment=moment)
    return standing


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(per_minute=st.integers(1, 90), pauses=st.lists(PAUSES, min_size=1, max_size=40))
@example(per_minute=1, pauses=[0, 59_999_001])  # less than a millisecond to wait
async def test_the_database_admits_what_the_model_admits(
    database: Database, per_minute: int, pauses: list[int]
) -> None:
    name, model = f"key:{uuid4()}", Model(per_minute)

    for pause_us in pauses:
        model.now_us += pause_us
        moment = BEGIN + timedelta(microseconds=model.now_us)
        standing = await _ask(database, name, per_minute, moment)
        assert (standing.wait_s == 0) == model.ask()

        if standing.wait_s:  # who waits as long as was said is admitted, and not a microsecond before
            model.now_us += round(standing.wait_s * 1e6)
            before, after = (BEGIN + timedelta(microseconds=model.now_us - early) for early in (1, 0))
            assert (await _ask(database, name, per_minute, before)).wait_s > 0
            assert (await _ask(database, name, per_minute, after)).wait_s == 0
            assert model.ask()

    for admitted_us in model.admitted_us:
        in_a_minute = [one for one in model.admitted_us if admitted_us - WINDOW_US < one <= admitted_us]
        assert len(in_a_minute) <= 2 * per_minute


async def test_the_room_that_is_left_is_told_with_every_answer(database: Database) -> None:
    name = f"key:{uuid4()}"

    standings = [await _ask(database, name, 3, BEGIN) for _ in range(4)]

    assert [standing.remaining for standing in standings] == [2, 1, 0, 0]
    assert [standing.whole_s for standing in standings] == [20, 40, 60, 60]
    assert [standing.wait_s for standing in standings] == [0, 0, 0, 20]


async def test_of_many_at_once_exactly_as_many_as_may_are_admitted(database: Database) -> None:
    name = f"tenant:{uuid4()}"

    standings = await asyncio.gather(*(_ask(database, name, 20, BEGIN) for _ in range(100)))

    assert sum(standing.wait_s == 0 for standing in standings) == 20


async def test_a_request_that_does_not_fit_the_second_limit_is_not_counted_by_the_first(database: Database) -> None:
    key, tenant = Rate(f"key:{uuid4()}", 5), Rate(f"tenant:{uuid4()}", 2)

    answers = [await take(database, [key, tenant], moment=BEGIN) for _ in range(4)]

    assert [[standing.wait_s for standing in standings] for standings in answers] == [[0, 0], [0, 0], [0, 30], [0, 30]]
    assert (await _ask(database, key.name, key.per_minute, BEGIN)).remaining == 2


async def test_a_request_that_does_not_fit_the_first_limit_is_not_counted_by_the_second(database: Database) -> None:
    key, tenant = Rate(f"key:{uuid4()}", 1), Rate(f"tenant:{uuid4()}", 9)

    answers = [await take(database, [key, tenant], moment=BEGIN) for _ in range(3)]

    assert [[standing.wait_s for standing in standings] for standings in answers] == [[0, 0], [60], [60]]
    assert (await _ask(database, tenant.name, tenant.per_minute, BEGIN)).remaining == 7


async def test_of_many_at_once_as_many_are_admitted_as_the_tighter_of_two_limits_has_room_for(
    database: Database,
) -> None:
    key, tenant = Rate(f"key:{uuid4()}", 30), Rate(f"tenant:{uuid4()}", 20)

    answers = await asyncio.gather(*(take(database, [key, tenant], moment=BEGIN) for _ in range(100)))

    assert sum(standings[-1].wait_s == 0 for standings in answers) == 20
    assert (await _ask(database, key.name, key.per_minute, BEGIN)).remaining == 9


async def test_a_limit_that_was_changed_holds_from_then_on(database: Database) -> None:
    name = f"key:{uuid4()}"
    for _ in range(60):
        await _ask(database, name, 60, BEGIN)

    lowered, later = await _ask(database, name, 6, BEGIN), BEGIN + timedelta(seconds=10)

    assert lowered.wait_s == 10
    assert (await _ask(database, name, 6, later)).wait_s == 0


async def test_the_servers_own_clock_is_used_in_life(database: Database) -> None:
    name = f"key:{uuid4()}"

    first, second = await _ask(database, name, 1), await _ask(database, name, 1)

    assert (first.wait_s, first.remaining) == (0, 0)
    assert 0 < second.wait_s <= 60
