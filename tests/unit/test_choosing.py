"""Who is asked first: the strategies, what goes before any strategy, and what holds whatever stands how."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.standing import BreakerState, LaneMode, Standing, Standings, Traffic
from contracts.wishes import Strategy
from providers.choosing import Circumstances, Option, in_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GENERATION = UUID(int=7)
STRATEGIES: tuple[Strategy | None, ...] = (None, "pinned", "cheapest", "fastest", "best", "balanced")

CHEAP = Option("a", "cheap", 0, Decimal("0.01"), quality_rank=3, typical_s=20, creates_per_minute=600)
FAST = Option("b", "fast", 1, Decimal("0.05"), quality_rank=5, typical_s=2, creates_per_minute=600)
BEST = Option("c", "best", 2, Decimal("0.20"), quality_rank=10, typical_s=60, creates_per_minute=600)
ALL = (CHEAP, FAST, BEST)


def given_for(strategy: Strategy | None = None, **changes: Any) -> Circumstances:
    given_ = Circumstances(generation_id=GENERATION, deadline_s=300, at=NOW, strategy=strategy)
    return replace(given_, **changes)


def names(options: tuple[Option, ...]) -> list[str]:
    return [option.model for option in options]


def order(
    options: tuple[Option, ...] = ALL, *rows: Standing, strategy: Strategy | None = None, **changes: Any
) -> list[str]:
    return names(in_order(options, Standings(rows=rows), given_for(strategy, **changes)))


def of(option: Option, **facts: Any) -> Standing:
    return Standing(provider=option.provider, model=option.model, **facts)


def provider_of(option: Option, **facts: Any) -> Standing:
    return Standing(provider=option.provider, **facts)


def measured(p50_s: float, *, usual_s: float | None = None, p90_s: float | None = None) -> Traffic:
    return Traffic(successes=20, samples=20, p50_s=p50_s, p90_s=p90_s or 1.5 * p50_s, usual_s=usual_s)


def test_without_a_strategy_and_with_nothing_known_the_catalogs_order_stays() -> None:
    assert order() == ["cheap", "fast", "best"]
    assert order((BEST, FAST, CHEAP)) == ["best", "fast", "cheap"]


@pytest.mark.parametrize(
    ("strategy", "first"), [("cheapest", "cheap"), ("fastest", "fast"), ("best", "best"), ("pinned", "cheap")]
)
def test_a_strategy_puts_its_own_first(strategy: Strategy, first: str) -> None:
    assert order(strategy=strategy)[0] == first


def test_balanced_prefers_who_is_good_in_all_over_who_is_best_in_one() -> None:
    dear = replace(FAST, model="dear", position=3, price_usd=Decimal(2))
    slow = replace(FAST, model="slow", position=4, typical_s=200)
    poor = replace(FAST, model="poor", position=5, quality_rank=1)

    assert order((dear, slow, poor, FAST), strategy="balanced")[0] == "fast"


def test_balanced_avoids_who_fails_often() -> None:
    twin = replace(FAST, provider="d", model="twin", position=9)
    failing = of(FAST, traffic=Traffic(successes=5, failures=5))

    assert order((FAST, twin), failing, strategy="balanced") == ["twin", "fast"]


def test_a_measured_time_beats_the_typical_one_from_five_samples_on() -> None:
    few = Traffic(successes=4, samples=4, p50_s=1, p90_s=1)

    assert order(ALL, of(CHEAP, traffic=measured(1)), strategy="fastest")[0] == "cheap"
    assert order(ALL, of(CHEAP, traffic=few), strategy="fastest")[0] == "fast"


@pytest.mark.parametrize("strategy", [None, "cheapest", "balanced"])
def test_an_open_breaker_puts_a_model_last(strategy: Strategy | None) -> None:
    cheapest_of_all = replace(CHEAP, quality_rank=10, typical_s=1)

    assert order((cheapest_of_all, FAST), of(CHEAP, breaker=BreakerState.open), strategy=strategy)[-1] == "cheap"
    assert (
        order((cheapest_of_all, FAST), provider_of(CHEAP, breaker=BreakerState.open), strategy=strategy)[-1] == "cheap"
    )


def test_a_half_open_breaker_keeps_its_place_while_it_lets_more_through() -> None:
    assert order(ALL, of(CHEAP, breaker=BreakerState.half_open))[0] == "cheap"
    assert order(ALL, of(CHEAP, breaker=BreakerState.half_open, may_try=False))[-1] == "cheap"


def test_a_paused_one_is_left_out_as_long_as_there_is_another() -> None:
    paused = [provider_of(option, mode=LaneMode.paused) for option in ALL]

    assert order(ALL, paused[0]) == ["fast", "best"]
    assert order(ALL, *paused) == ["cheap", "fast", "best"]


def test_nothing_new_is_planned_for_a_draining_one() -> None:
    draining = [of(option, mode=LaneMode.draining) for option in ALL]

    assert order(ALL, draining[0]) == ["fast", "best"]
    assert order(ALL, *draining) == []


def test_a_busy_provider_is_asked_after_the_others_unless_the_wait_is_short() -> None:
    assert order(ALL, provider_of(CHEAP, busy_until=NOW + timedelta(seconds=30)))[-1] == "cheap"
    assert order(ALL, provider_of(CHEAP, busy_until=NOW + timedelta(seconds=2)))[0] == "cheap"


def test_who_cannot_meet_a_wish_stays_behind_who_can_although_it_is_cheaper() -> None:
    adjusted = replace(CHEAP, adjusted=True)

    assert order((adjusted, FAST), strategy="cheapest") == ["fast", "cheap"]


def test_who_cannot_meet_a_wish_is_still_better_than_who_cannot_be_used() -> None:
    adjusted = replace(FAST, adjusted=True)

    assert order((CHEAP, adjusted), of(CHEAP, breaker=BreakerState.open)) == ["fast", "cheap"]


def test_a_model_whose_pictures_would_come_too_late_is_asked_last() -> None:
    assert order(ALL, of(CHEAP, traffic=measured(20, p90_s=70)), deadline_s=60)[-1] == "cheap"


def test_a_model_far_slower_than_just_before_is_asked_last() -> None:
    assert order(ALL, of(CHEAP, traffic=measured(5, usual_s=0.5)))[-1] == "cheap"
    assert order(ALL, of(CHEAP, traffic=measured(1, usual_s=0.5)))[0] == "cheap"


def test_a_model_far_slower_than_others_are_is_asked_last() -> None:
    assert order((CHEAP, BEST), of(CHEAP, traffic=measured(10)), of(BEST, traffic=measured(1))) == ["best", "cheap"]


def test_a_model_that_is_slow_by_nature_keeps_its_place() -> None:
    assert order((BEST, FAST), of(BEST, traffic=measured(60)), of(FAST, traffic=measured(2))) == ["best", "fast"]


def test_the_other_models_of_a_provider_that_failed_come_last() -> None:
    sibling = replace(FAST, provider="a", model="sibling")

    assert order((sibling, BEST), failed_providers=frozenset({"a"})) == ["best", "sibling"]


def _shares(*rows: Standing) -> Counter[str]:
    twins = (CHEAP, replace(CHEAP, provider="d", model="twin", position=1))
    chosen: Counter[str] = Counter()
    for number in range(2000):
        ordered = in_order(twins, Standings(rows=rows), given_for("cheapest", generation_id=UUID(int=number)))
        chosen[ordered[0].model] += 1
    return chosen


def test_equals_share_the_work() -> None:
    assert 800 < _shares()["twin"] < 1200


def test_who_has_more_free_capacity_gets_more() -> None:
    limited = provider_of(CHEAP, creates_per_minute=200)  # the other one has 600

    assert 1350 < _shares(limited)["twin"] < 1650


def test_a_generation_is_always_given_the_same_order() -> None:
    twins = (CHEAP, replace(CHEAP, provider="d", model="twin", position=1))

    assert order(twins, strategy="cheapest") == order(tuple(reversed(twins)), strategy="cheapest")


def test_without_a_strategy_equals_are_not_mixed() -> None:
    twins = (CHEAP, replace(CHEAP, provider="d", model="twin", position=1))

    for number in range(50):
        assert order(twins, generation_id=UUID(int=number)) == ["cheap", "twin"]


OPTIONS = st.lists(
    st.builds(
        Option,
        provider=st.sampled_from("abc"),
        model=st.text("xyz", min_size=1, max_size=3),
        position=st.integers(0, 99),
        price_usd=st.decimals(0, 2, places=3),
        quality_rank=st.integers(1, 10),
        typical_s=st.floats(0.5, 200),
        creates_per_minute=st.integers(1, 1000),
        recoverable=st.booleans(),
        adjusted=st.booleans(),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda option: option.key,
).map(tuple)
TRAFFIC = st.builds(
    Traffic,
    successes=st.integers(0, 100),
    failures=st.integers(0, 100),
    samples=st.integers(0, 100),
    p50_s=st.none() | st.floats(0.1, 300),
    p90_s=st.none() | st.floats(0.1, 600),
    usual_s=st.none() | st.floats(0.1, 300),
)
STANDINGS = st.lists(
    st.builds(
        Standing,
        provider=st.sampled_from("abc"),
        model=st.just("") | st.text("xyz", min_size=1, max_size=3),
        breaker=st.sampled_from(BreakerState),
        may_try=st.booleans(),
        mode=st.sampled_from(LaneMode),
        creates_per_minute=st.none() | st.integers(1, 1000),
        busy_until=st.none() | st.just(NOW + timedelta(seconds=60)),
        traffic=TRAFFIC,
    ),
    max_size=15,
    unique_by=lambda row: (row.provider, row.model),
).map(lambda rows: Standings(rows=tuple(rows)))
CHOICES = st.builds(
    given_for,
    st.sampled_from(STRATEGIES),
    generation_id=st.uuids(),
    deadline_s=st.integers(10, 600),
    failed_providers=st.frozensets(st.sampled_from("abc")),
)


def has_mode(option: Option, standings: Standings, mode: LaneMode) -> bool:
    return mode in {row.mode for row in standings.both(option.provider, option.model)}


def is_shut(option: Option, standings: Standings) -> bool:
    """By its own breaker, or by its provider's: open, or half open with as many trials as there may be."""
    both = standings.both(option.provider, option.model)
    return any(row.breaker is BreakerState.open or not row.may_try for row in both)


@given(OPTIONS, STANDINGS, CHOICES)
def test_nobody_is_invented_asked_twice_or_forgotten_unless_an_operator_said_so(
    options: tuple[Option, ...], standings: Standings, choice: Circumstances
) -> None:
    ordered = in_order(options, standings, choice)
    allowed = [one for one in options if not has_mode(one, standings, LaneMode.draining)]
    running = [one for one in allowed if not has_mode(one, standings, LaneMode.paused)]

    assert sorted(one.key for one in ordered) == sorted(one.key for one in running or allowed)


@given(OPTIONS, STANDINGS, CHOICES.filter(lambda choice: choice.strategy != "pinned"))
def test_nobody_whose_breaker_lets_nothing_through_is_asked_before_one_that_can_be_used(
    options: tuple[Option, ...], standings: Standings, choice: Circumstances
) -> None:
    ordered = in_order(options, standings, choice)
    are_shut = [is_shut(option, standings) for option in ordered]

    assert are_shut == sorted(are_shut)


@given(OPTIONS, STANDINGS, CHOICES)
def test_the_choice_is_the_same_each_time(
    options: tuple[Option, ...], standings: Standings, choice: Circumstances
) -> None:
    assert in_order(options, standings, choice) == in_order(options, standings, choice)


@given(OPTIONS, CHOICES)
def test_with_nothing_known_only_wishes_and_earlier_failures_change_the_default_order(
    options: tuple[Option, ...], choice: Circumstances
) -> None:
    ordered = in_order(options, Standings(), replace(choice, strategy=None, failed_providers=frozenset()))

    assert ordered == tuple(sorted(options, key=lambda option: option.adjusted))


@given(OPTIONS, CHOICES)
def test_the_cheapest_that_meets_all_wishes_comes_first_by_price(
    options: tuple[Option, ...], choice: Circumstances
) -> None:
    ordered = in_order(options, Standings(), replace(choice, strategy="cheapest", failed_providers=frozenset()))
    meets = [option for option in options if option.adjusted == ordered[0].adjusted]

    assert float(ordered[0].price_usd) <= 1.06 * float(min(option.price_usd for option in meets)) + 0.000_002
