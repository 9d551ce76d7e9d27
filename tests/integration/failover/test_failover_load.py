"""A provider that dies while many pictures are being bought from it: they are made elsewhere, and each is paid once."""

from collections import Counter

import pytest

from contracts.standing import BreakerState
from db import breakers, standings
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import USUAL, House
from tests.integration.failover.matrix import play_cells
from tests.integration.failover.troubles import End, Fault
from tests.integration.failover.until import until

pytestmark = pytest.mark.timeout(900)

IN_FLIGHT = 40
ERRORS = Fault("server_error")
OTHER = {"replicate": "openai", "openai": "replicate", "getimg": "wavespeed", "wavespeed": "getimg"}


def crowd(first: str, trouble: str, fault: Fault | None = None) -> list[Cell]:
    return [Cell(f"{trouble} under load {n}", first, OTHER[first], fault) for n in range(IN_FLIGHT)]


async def breaker(house: House, provider: str, model: str = "") -> BreakerState:
    async with house.tables.database.statement() as session:
        return (await standings.read(session)).of(provider, model).breaker


def makers(ends: dict[str, End]) -> Counter[tuple[str, str]]:
    """How many ended how, and made by whom."""
    return Counter((end.status.value, end.maker) for end in ends.values())


@pytest.mark.parametrize("first", ["getimg", "wavespeed"])
async def test_when_a_provider_cannot_be_reached_any_more_all_pictures_are_made_by_the_other_and_paid_once(
    guarded: House, first: str
) -> None:
    await guarded.doors[first].shut()
    try:
        ends = await play_cells(guarded, crowd(first, "away"), at_once=IN_FLIGHT)
    finally:
        await guarded.doors[first].open()

    assert makers(ends) == {("succeeded", "second"): IN_FLIGHT}
    assert {end.code for end in ends.values()} <= {"provider_unreachable", "circuit_open"}
    assert {end.charged + end.second_charged for end in ends.values()} == {(True,)}
    assert await breaker(guarded, first) is BreakerState.open


async def test_when_a_provider_answers_with_errors_and_can_prove_what_it_did_not_make_the_other_makes_all(
    guarded: House,
) -> None:
    ends = await play_cells(guarded, crowd("replicate", "errors", ERRORS), at_once=IN_FLIGHT)

    assert makers(ends) == {("succeeded", "second"): IN_FLIGHT}
    assert {end.charged + end.second_charged for end in ends.values()} == {(True,)}
    assert await breaker(guarded, "replicate") is BreakerState.open


async def test_when_a_provider_answers_with_errors_and_can_prove_nothing_only_those_wait_for_people_that_bought_twice(
    guarded: House,
) -> None:
    ends = await play_cells(guarded, crowd("openai", "errors", ERRORS), at_once=IN_FLIGHT)

    counted = makers(ends)
    assert counted[("succeeded", "second")] + counted[("needs_review", "nobody")] == IN_FLIGHT
    # The breaker opens while their first purchases are under way; a few have bought again by then.
    assert counted[("succeeded", "second")] > IN_FLIGHT / 2
    for end in ends.values():
        assert end.duplicate == ("unknown" in end.booked)
        assert end.second_charged == ((True,) if end.maker == "second" else ())
    assert await breaker(guarded, "openai") is BreakerState.open


@pytest.mark.usefixtures("a_patient_replicate")
async def test_after_five_failures_nothing_more_is_bought_there_until_it_is_seen_to_work_again(guarded: House) -> None:
    provider, model = "replicate", USUAL["replicate"]
    failing = await play_cells(guarded, crowd(provider, "fails", Fault("model_error"))[:7], at_once=1)
    async with guarded.tables.database.transaction() as session:
        await breakers.record_probe(session, (provider, model), well=True)
    await until(guarded.gate.kept_out, lambda names: not names)
    mended = await play_cells(guarded, crowd(provider, "works")[:2], at_once=1)

    assert [end.code for end in failing.values()] == ["model_failed"] * 5 + ["circuit_open"] * 2
    assert makers(failing) == {("succeeded", "second"): 7}
    assert makers(mended) == {("succeeded", "first"): 2}
    await until(lambda: breaker(guarded, provider, model), lambda state: state is BreakerState.closed)
