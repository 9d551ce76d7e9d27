"""How long a new picture would take, and when nobody can say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.estimates import Lanes, estimate
from contracts.standing import BreakerState, LaneMode, Standing, Traffic

MOMENT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MEASURED = Traffic(successes=40, samples=12, p50_s=10.0, p90_s=25.0)


def lanes(
    *,
    provider: Standing | None = None,
    model: Standing | None = None,
    provider_limit: int = 60,
    model_limit: int | None = None,
    provider_held: int = 0,
    model_held: int = 0,
    generations_ahead: int = 0,
) -> Lanes:
    return Lanes(
        provider=provider or Standing(provider="p"),
        model=model or Standing(provider="p", model="m", traffic=MEASURED),
        provider_limit=provider_limit,
        model_limit=model_limit,
        provider_held=provider_held,
        model_held=model_held,
        generations_ahead=generations_ahead,
    )


def test_without_a_queue_a_picture_takes_what_the_last_ones_took() -> None:
    found = estimate(lanes(), moment=MOMENT, closed_because=None)

    assert (found.median_s, found.p90_s, found.wait_s, found.ahead, found.samples) == (10.0, 25.0, 0.0, 0, 12)
    assert found.unknown_because is None


def test_what_is_ahead_is_bought_first() -> None:
    found = estimate(lanes(provider_held=20, generations_ahead=10), moment=MOMENT, closed_because=None)

    assert (found.median_s, found.p90_s, found.wait_s, found.ahead) == (40.0, 55.0, 30.0, 30)


def test_a_models_own_limit_counts_when_it_is_the_narrower_one() -> None:
    found = estimate(lanes(provider_held=6, model_limit=2, model_held=6), moment=MOMENT, closed_because=None)

    assert found.wait_s == 180.0


def test_a_provider_that_told_us_to_wait_is_waited_for() -> None:
    busy = Standing(provider="p", busy_until=MOMENT + timedelta(seconds=90))

    assert estimate(lanes(provider=busy), moment=MOMENT, closed_because=None).wait_s == 90.0


def test_nothing_is_guessed_where_nothing_was_measured() -> None:
    found = estimate(lanes(model=Standing(provider="p", model="m")), moment=MOMENT, closed_because=None)

    assert (found.median_s, found.p90_s, found.wait_s) == (None, None, None)
    assert found.unknown_because == "It finished no picture in the last five minutes."


def test_who_is_not_used_now_gives_no_estimate_and_says_why() -> None:
    found = estimate(lanes(), moment=MOMENT, closed_because="The model is paused by an operator.")

    assert (found.median_s, found.unknown_because) == (None, "The model is paused by an operator.")


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(provider="p", mode=LaneMode.paused), "is paused by an operator"),
        (Standing(provider="p", mode=LaneMode.draining), "is being drained"),
        (Standing(provider="p", breaker=BreakerState.open), "until a probe succeeds"),
        (Standing(provider="p", breaker=BreakerState.half_open, may_try=False), "tried out"),
    ],
)
def test_a_closed_lane_says_whose_it_is_and_what_closed_it(standing: Standing, words: str) -> None:
    of_model = standing.model_copy(update={"model": "m"})
    by_provider = lanes(provider=standing).closed_because() or ""
    by_model = lanes(model=of_model).closed_because() or ""

    assert by_provider.startswith("The provider")
    assert by_model.startswith("The model")
    assert words in by_provider
    assert words in by_model


@pytest.mark.parametrize("breaker", [BreakerState.closed, BreakerState.half_open])
def test_a_lane_that_may_be_tried_is_open(breaker: BreakerState) -> None:
    assert lanes(provider=Standing(provider="p", breaker=breaker)).closed_because() is None


@given(
    held=st.integers(0, 10_000),
    ahead=st.integers(0, 10_000),
    more=st.integers(1, 1000),
    limit=st.integers(1, 6000),
)
def test_a_longer_queue_or_a_lower_limit_never_makes_it_quicker(held: int, ahead: int, more: int, limit: int) -> None:
    now = lanes(provider_held=held, generations_ahead=ahead, provider_limit=limit + 1)
    longer = lanes(provider_held=held + more, generations_ahead=ahead, provider_limit=limit + 1)
    narrower = lanes(provider_held=held, generations_ahead=ahead, provider_limit=limit)

    assert longer.wait_s(MOMENT) > now.wait_s(MOMENT)
    assert narrower.wait_s(MOMENT) >= now.wait_s(MOMENT)
