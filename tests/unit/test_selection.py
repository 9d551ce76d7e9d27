"""Choosing models from the catalog: whom it proposes for a picture, and why it refuses."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from contracts.requests import ImageRequest, PlannedPicture
from contracts.statuses import Kind, Step
from contracts.wishes import PictureTraits
from errors import InvalidRequest, ModelRetired, UnknownModel, UnsupportedSize
from providers.wish import Wish
from tests.asking_the_catalog import CATALOG, OWN_WORDS, SCENE, TODAY, candidates, names

AVATAR = PlannedPicture(Step.avatar, (1024, 1024), references=0)


def test_without_wishes_the_default_comes_first_and_the_direct_route_second() -> None:
    assert names(candidates())[:2] == [
        ("replicate", "openai/gpt-image-2.5-flare"),
        ("openai", "gpt-image-2.5-flare"),
    ]


def test_only_configured_providers_are_proposed() -> None:
    found = candidates(configured=frozenset({"openai"}))

    assert {candidate.provider for candidate in found} == {"openai"}


def test_without_any_key_the_refusal_names_the_variables_to_set() -> None:
    with pytest.raises(UnknownModel, match="DIORAMA_REPLICATE_API_TOKEN or DIORAMA_OPENAI_API_KEY"):
        candidates(configured=frozenset())


def test_a_provider_without_a_key_is_refused_with_its_variable() -> None:
    with pytest.raises(UnknownModel, match="must set DIORAMA_OPENAI_API_KEY"):
        candidates(provider="openai", configured=frozenset({"replicate"}))


def test_a_wished_model_comes_first_and_then_the_same_model_elsewhere() -> None:
    found = names(candidates(model="gpt-image-2"))

    assert found == [("openai", "gpt-image-2"), ("replicate", "openai/gpt-image-2")]


def test_a_wished_provider_is_the_only_one() -> None:
    found = names(candidates(model="openai/gpt-image-2.5-flare", provider="replicate"))

    assert found == [("replicate", "openai/gpt-image-2.5-flare")]


@pytest.mark.parametrize(
    "wish", [{"model": "dall-e-9"}, {"provider": "nobody"}, {"provider": "openai", "model": "sdxl"}]
)
def test_a_name_that_the_catalog_does_not_have_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel):
        candidates(**wish)


def test_a_retired_model_is_refused_and_its_successor_named() -> None:
    with pytest.raises(
        ModelRetired, match=r"openai/gpt-image-1 was shut down on 2026-10-23.*openai/gpt-image-2\.5-flare"
    ):
        candidates(model="openai/gpt-image-1")


def test_a_retired_model_can_be_forced() -> None:
    found = names(candidates(model="openai/gpt-image-1", force=True))

    assert found[0] == ("replicate", "openai/gpt-image-1")


def test_a_model_is_sold_until_the_day_of_its_shutdown() -> None:
    assert candidates(model="openai/gpt-image-1.5", today=date(2026, 11, 30))
    with pytest.raises(ModelRetired):
        candidates(model="openai/gpt-image-1.5", today=date(2026, 12, 1))


def test_models_that_were_shut_down_are_never_proposed_by_themselves() -> None:
    found = candidates(today=date(2030, 1, 1))

    assert all(CATALOG.entry(candidate.provider, candidate.model).shutdown is None for candidate in found)


def test_a_size_that_would_have_to_be_blown_up_is_refused() -> None:
    with pytest.raises(UnsupportedSize):
        candidates(replace(SCENE, size=(8000, 4500)))


def test_more_reference_pictures_than_any_model_takes_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        candidates(replace(SCENE, references=17))


def test_models_that_take_fewer_reference_pictures_drop_out() -> None:
    found = candidates(replace(SCENE, references=12))

    assert {candidate.provider for candidate in found} == {"openai"}


def test_an_unknown_outcome_above_the_amount_waits_for_people_and_below_it_is_bought_again() -> None:
    dear = candidates(review_above_usd=Decimal("0.001"))
    cheap = candidates(review_above_usd=Decimal(100))

    assert {candidate.unknown_policy for candidate in dear} == {"review"}
    assert {candidate.unknown_policy for candidate in cheap} == {"resubmit"}


def test_a_wish_is_what_the_request_says() -> None:
    request = ImageRequest(
        kind=Kind.image,
        prompt="a cat",
        quality="low",
        provider="openai",
        model="gpt-image-2",
        force_model=True,
        strategy="pinned",
        providers=("openai",),
        max_cost_usd=Decimal(1),
    )

    assert Wish.of(request, TODAY) == Wish(
        quality="low",
        today=TODAY,
        provider="openai",
        model="gpt-image-2",
        force=True,
        strategy="pinned",
        providers=("openai",),
        max_cost_usd=Decimal(1),
    )


def test_a_pinned_model_stands_alone() -> None:
    found = names(candidates(provider="openai", model="gpt-image-2", strategy="pinned"))

    assert found == [("openai", "gpt-image-2")]


def test_only_allowed_providers_are_proposed() -> None:
    assert {candidate.provider for candidate in candidates(providers=("openai",))} == {"openai"}


def test_a_provider_outside_the_allowed_ones_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not one of providers"):
        candidates(provider="replicate", providers=("openai",))


def test_an_allowed_provider_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownModel, match="nobody"):
        candidates(providers=("openai", "nobody"))


def test_without_a_strategy_only_recommended_models_are_proposed_and_with_one_all_that_fit() -> None:
    recommended = names(candidates())
    everything = names(candidates(strategy="cheapest"))

    assert {CATALOG.entry(*name).automatic for name in recommended} == {True}
    assert everything[: len(recommended)] == recommended
    assert ("openai", "gpt-image-2") in everything


def test_what_no_recommended_model_can_do_falls_to_the_others() -> None:
    enlarged = PlannedPicture(Step.enhanced, None, references=1, capability="upscale", traits=PictureTraits(scale=2))

    found = candidates(enlarged, configured=frozenset(provider.name for provider in CATALOG.providers))

    assert found
    assert all("upscale" in CATALOG.entry(one.provider, one.model).capabilities for one in found)


@pytest.mark.parametrize("provider", [provider.name for provider in CATALOG.providers])
@pytest.mark.parametrize("is_named", [True, False])
def test_whoever_has_the_key_of_one_provider_only_gets_pictures_without_choosing(provider: str, is_named: bool) -> None:
    wish: dict[str, Any] = {"provider": provider} if is_named else {}

    for planned in (AVATAR, SCENE, OWN_WORDS):
        found = candidates(planned, configured=frozenset({provider}), **wish)
        assert {one.provider for one in found} == {provider}


def test_a_size_that_no_recommended_model_makes_falls_to_the_others() -> None:
    huge = replace(OWN_WORDS, size=(5000, 5000))

    found = candidates(huge, configured=frozenset({"replicate", "openai", "wavespeed"}))

    assert names(found)[0] == ("wavespeed", "bytedance/seedream-v4")
    with pytest.raises(UnsupportedSize, match=r"gpt-image-2\.5-flare cannot make 5000x5000"):
        candidates(huge, configured=frozenset({"openai"}))


def test_what_nobody_can_do_is_refused_in_words() -> None:
    sketch = PlannedPicture(Step.variant_1, None, references=1, capability="sketch_to_image")

    with pytest.raises(InvalidRequest, match="gpt-image-2 cannot draw from a sketch"):
        candidates(sketch, model="gpt-image-2")
