"""A provider that dies when a hundred purchases are at it, accepted and not finished: what becomes of them, and of its breaker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from contracts.standing import BreakerState
from db import breakers
from db.breaker_rule import RULES
from tests.integration.failover.breaker_watch import BreakerWatch, watching_breakers
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import House
from tests.integration.failover.seen import bills, seen_of
from tests.integration.failover.troubles import JOBS, End, by_first, by_second
from tests.integration.failover.until import until

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("a_patient_replicate")]

# A hundred at once where it matters most; elsewhere as many as show the same in less time.
IN_FLIGHT = {"replicate": 100, "wavespeed": 20, "openai": 20}
LATE = 5
# So many begin together: a provider on a busy machine must not take so long to accept them that its breaker opens then.
AT_ONCE = 10
OTHER = {"replicate": "openai", "openai": "replicate", "getimg": "wavespeed", "wavespeed": "getimg"}
# By the provider's clock, which the test moves on: nothing that it accepted ends before it dies.
WORKS_FOR_S = 200
DEADLINE_S = 1800
UNDER_WAY = {"starting", "processing", "created", "running"}  # in the words of each


def crowd(first: str, name: str, count: int) -> list[Cell]:
    return [Cell(f"{name} {number}", first, OTHER[first], deadline_s=DEADLINE_S) for number in range(count)]


async def unfinished(house: House, first: str) -> int:
    """How many purchases the provider has accepted and not finished."""
    return sum(job["status"] in UNDER_WAY for job in await house.sandbox.jobs(provider=first))


@asynccontextmanager
async def in_flight(house: House, first: str, cells: Sequence[Cell]) -> AsyncIterator[list[asyncio.Task[UUID]]]:
    """All bought from the first, which has accepted every one of them and finished none, and will lose them all."""
    await house.sandbox.arm("slow_start", provider=first, params={"seconds": str(WORKS_FOR_S)})
    await house.sandbox.arm("interrupted", provider=first)
    async with asyncio.TaskGroup() as group:
        making: list[asyncio.Task[UUID]] = []
        for cell in cells:
            making.append(group.create_task(house.make(cell.request)))
            if len(making) % AT_ONCE == 0:
                await until(lambda: unfinished(house, first), lambda count: count == len(making))
        yield making
        await house.sandbox.disarm()


async def ends_of(house: House, cells: Sequence[Cell], making: Sequence[asyncio.Task[UUID]]) -> list[End]:
    async with asyncio.timeout(300):
        ids = await asyncio.gather(*making)
    billed = await bills(house)
    return [await seen_of(house, cell, made, billed) for cell, made in zip(cells, ids, strict=True)]


async def die(house: House, watch: BreakerWatch, first: str) -> tuple[list[End], list[End]]:
    """What became of those that were at the provider when it died, and of those that came when its breaker was open.

    Nobody gets to it for a while, and then it answers again, but has lost what it was making.
    """
    cells, late = crowd(first, "in flight", IN_FLIGHT[first]), crowd(first, "late", LATE)
    async with in_flight(house, first, cells) as making:
        await house.doors[first].shut()
        await until(lambda: watch.moves(first), lambda moves: BreakerState.open in moves)
        after = [asyncio.create_task(house.make(cell.request)) for cell in late]
        ends_late = await ends_of(house, late, after)
        await house.sandbox.advance(WORKS_FOR_S + 1)
        await until(lambda: unfinished(house, first), lambda count: count == 0)
        await house.doors[first].open()
        ends = await ends_of(house, cells, making)
        await house.sandbox.advance(-(WORKS_FOR_S + 1))  # later ones look for jobs by the time at which they were made
        return ends, ends_late


async def recover(house: House, watch: BreakerWatch, first: str) -> list[End]:
    """What becomes of those that come after a free look at the provider went well."""
    async with house.tables.database.transaction() as session:
        await breakers.record_probe(session, (first, ""), well=True)
    await until(house.gate.kept_out, lambda names: not names)
    back = crowd(first, "back", RULES.successes)
    ends = await ends_of(house, back, [asyncio.create_task(house.make(cell.request)) for cell in back])
    await until(lambda: watch.moves(first), lambda moves: moves[-1] is BreakerState.closed)
    return ends


@pytest.fixture
async def watch(guarded: House) -> AsyncIterator[BreakerWatch]:
    async with watching_breakers(guarded.tables.database) as opened:
        yield opened


@pytest.mark.parametrize("first", JOBS)
async def test_accepted_jobs_of_a_provider_that_dies_are_made_by_the_other_and_each_is_paid_once(
    guarded: House, watch: BreakerWatch, first: str
) -> None:
    ends, late = await die(guarded, watch, first)
    failures = await watch.failures_to_open(first)
    back = await recover(guarded, watch, first)

    # Each was bought from the first once, which lost it, and then kept back by the breaker.
    lost = replace(by_second("circuit_open", "no", "no"), charged=(False,))
    assert set(ends) == {lost}
    assert set(late) == {by_second("circuit_open")}
    assert failures <= RULES.failures
    assert set(back) == {by_first()}


async def test_purchases_of_a_provider_that_dies_before_it_answers_are_made_by_the_other_and_told_as_unsure(
    guarded: House, watch: BreakerWatch
) -> None:
    first = "openai"
    ends, late = await die(guarded, watch, first)
    failures = await watch.failures_to_open(first)
    back = await recover(guarded, watch, first)

    # Nobody can say what it made of them; a second purchase there either met the breaker, or found nobody.
    whys = {end.code for end in ends}
    unsure = replace(by_second("", "unknown", "no"), charged=(False,), duplicate=True)
    assert {replace(end, code="") for end in ends} == {unsure}
    assert whys <= {"circuit_open", "provider_unreachable"}
    assert set(late) == {by_second("circuit_open")}
    assert failures <= RULES.failures
    assert set(back) == {by_first()}
