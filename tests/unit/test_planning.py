"""Plans: what each candidate tells of its picture wherever it stands, and what is left of a plan that is older than the catalog."""

from decimal import Decimal
from uuid import UUID

import pytest

from activities.planning import Planner
from contracts.pictures import Candidate
from contracts.requests import ImageRequest, planned_pictures
from contracts.standing import BreakerState, Standing, Standings
from contracts.wishes import Strategy
from providers.catalog import Catalog
from tests.asking_the_catalog import TWO_MODELS

CATALOG = Catalog.parse(TWO_MODELS)
REQUEST = ImageRequest.model_validate({"kind": "image", "prompt": "a fox", "size": "1024x1024"})
GENERATION = UUID(int=7)
BROKEN = Standings(rows=(Standing(provider="p", model="plain", breaker=BreakerState.open),))
ALL_WELL = Standings()
# `plain` makes JPEG pictures of 768x768 only; `able` gives what is asked for.
MENDED = {"plain": ["size", "output_format"], "able": []}


def planner(catalog: Catalog = CATALOG, *configured: str) -> Planner:
    return Planner(catalog, configured=frozenset(configured or {"p"}), review_above_usd=Decimal(1))


def planned(standings: Standings, strategy: Strategy | None = None) -> tuple[Candidate, ...]:
    request = REQUEST.model_copy(update={"strategy": strategy})
    (candidates,) = planner().plan(GENERATION, request, planned_pictures(request), standings)
    return candidates


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    return [one.model for one in candidates]


@pytest.mark.parametrize(
    ("standings", "strategy", "order"),
    [
        (ALL_WELL, None, ["plain", "able"]),
        (ALL_WELL, "best", ["able", "plain"]),
        (BROKEN, None, ["able", "plain"]),
    ],
)
def test_a_candidate_tells_what_is_mended_in_its_picture_wherever_it_stands(
    standings: Standings, strategy: Strategy | None, order: list[str]
) -> None:
    found = planned(standings, strategy)

    assert names(found) == order
    assert {one.model: [told.parameter for told in one.adjustments] for one in found} == MENDED


def test_what_a_candidate_tells_stays_when_another_one_failed() -> None:
    plan = planned(ALL_WELL)

    (left,) = planner().ordered(GENERATION, REQUEST, plan[1:], ALL_WELL)
    (back,) = planner().ordered(GENERATION, REQUEST, plan[:1], ALL_WELL)

    assert (left, back) == (plan[1], plan[0])


def test_what_left_the_catalog_since_the_plan_was_made_is_asked_no_more_and_the_rest_keeps_its_order() -> None:
    plain, able = planned(ALL_WELL)
    gone = plain.model_copy(update={"model": "gone"})
    moved = plain.model_copy(update={"provider": "nobody"})

    assert planner().ordered(GENERATION, REQUEST, (gone, plain, moved, able), ALL_WELL) == (plain, able)
    assert planner().ordered(GENERATION, REQUEST, (gone, moved), ALL_WELL) == ()


def test_a_provider_whose_key_was_taken_away_since_is_asked_no_more() -> None:
    assert planner(CATALOG, "another").ordered(GENERATION, REQUEST, planned(ALL_WELL), ALL_WELL) == ()
