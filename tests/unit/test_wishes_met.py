"""Wishes that a model cannot meet: refused, or told as adjustments of a fallback; and what a request may cost."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.statuses import Step
from contracts.wishes import PictureTraits
from errors import TooExpensive, UnsupportedParameter
from providers.adjusting import fit_traits
from providers.catalog import Catalog
from tests.asking_the_catalog import BOTH, CATALOG, OWN_WORDS, SEEDED, TWO_MODELS, WISH, candidates, names


def test_a_trait_that_the_named_model_lacks_is_refused_and_the_models_that_know_it_are_named() -> None:
    configured = frozenset(provider.name for provider in CATALOG.providers)
    knowing = {entry.model for entry in CATALOG.models if entry.traits.seed and "text_to_image" in entry.capabilities}

    with pytest.raises(UnsupportedParameter, match="seed = 7") as refused:
        candidates(SEEDED, model="gpt-image-2", configured=configured)

    assert refused.value.facts["parameter"] == "seed"
    assert set(refused.value.facts["known_by"].split(", ")) == knowing


def test_a_trait_that_no_recommended_model_knows_falls_to_others_and_the_recommended_stay_as_fallbacks() -> None:
    found = candidates(SEEDED)
    without_seed = [one.model for one in found if "seed" in {told.parameter for told in one.adjustments}]

    assert CATALOG.entry(found[0].provider, found[0].model).traits.seed
    assert [one.model for one in found][-len(without_seed) :] == without_seed, "they come last"
    assert {"gpt-image-2.5-flare", "openai/gpt-image-2.5-flare"} <= set(without_seed)


def test_a_trait_that_nobody_here_knows_is_refused() -> None:
    with pytest.raises(UnsupportedParameter, match=r"seed = 7.*No model here takes it"):
        candidates(SEEDED, configured=frozenset({"openai"}))


def test_models_that_meet_every_trait_come_first_and_the_others_tell_what_they_leave_out() -> None:
    found = candidates(
        replace(SEEDED, traits=PictureTraits(seed=7, steps=30, negative_prompt="hands")),
        catalog=Catalog.parse(TWO_MODELS),
        configured=frozenset({"p"}),
        strategy="best",
    )

    assert names(found) == [("p", "able"), ("p", "plain")]
    assert found[0].adjustments == ()
    assert [(told.parameter, told.wanted, told.given) for told in found[1].adjustments] == [
        ("negative_prompt", "given", None),
        ("seed", "7", None),
        ("steps", "30", "4"),
        ("size", "1024x1024", "768x768"),
        ("output_format", "png", "jpeg"),
    ]


def test_a_negative_prompt_never_travels_in_an_adjustment() -> None:
    _, told = fit_traits(CATALOG.models[0], PictureTraits(negative_prompt="my neighbour's face"), "text_to_image")

    assert [one.parameter for one in told] == ["negative_prompt"]
    assert "neighbour" not in told[0].model_dump_json()


def test_a_quality_that_nobody_asked_for_is_met_by_a_model_without_levels_and_another_is_not() -> None:
    of_two: dict[str, Any] = {"catalog": Catalog.parse(TWO_MODELS), "configured": frozenset({"p"}), "model": "able"}

    assert candidates(OWN_WORDS, **of_two)
    with pytest.raises(UnsupportedParameter, match="quality = high: Able has one quality only"):
        candidates(OWN_WORDS, quality="high", **of_two)


def test_a_picture_costs_no_more_than_the_request_may() -> None:
    pictures = tuple(replace(OWN_WORDS, step=Step.variant(number)) for number in (1, 2, 3, 4))
    wish = replace(WISH, strategy="best", max_cost_usd=Decimal("0.25"))

    plans = CATALOG.plan(pictures, wish, configured=BOTH, review_above_usd=Decimal(1))

    assert len(plans) == 4
    assert sum(max(one.max_usd for one in models) for models in plans) <= Decimal("0.25")
    assert ("openai", "gpt-image-2") not in names(plans[0])


def test_a_request_that_nobody_makes_for_so_little_is_refused_with_what_it_takes() -> None:
    with pytest.raises(TooExpensive) as refused:
        candidates(OWN_WORDS, max_cost_usd=Decimal("0.001"))

    assert Decimal(refused.value.facts["least_usd"]) > Decimal("0.001")
    assert candidates(OWN_WORDS, max_cost_usd=Decimal(refused.value.facts["least_usd"]))


def test_the_cheapest_model_that_misses_nothing_stays_whatever_cheaper_fallbacks_there_are() -> None:
    cheap: dict[str, Any] = {
        "catalog": Catalog.parse(TWO_MODELS),
        "configured": frozenset({"p"}),
        "strategy": "cheapest",
    }

    assert names(candidates(SEEDED, max_cost_usd=Decimal("0.05"), **cheap)) == [("p", "able"), ("p", "plain")]
    with pytest.raises(TooExpensive):
        candidates(SEEDED, max_cost_usd=Decimal("0.01"), **cheap)
