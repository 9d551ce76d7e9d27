"""The catalog: what it holds, what it refuses to hold, and whom it proposes."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from contracts.pictures import Candidate
from contracts.statuses import Step
from errors import ConfigurationError, InvalidRequest, ModelRetired, UnknownModel, UnsupportedSize
from providers.catalog import Catalog

TODAY = date(2026, 11, 21)
BOTH = frozenset({"replicate", "openai"})
CATALOG = Catalog.load()

PROVIDER = """
[[providers]]
name = "p"
title = "P"
key_variable = "P_KEY"
recoverable = true
synchronous = false
canceled_billed = "yes"
failed_billed = "no"
creates_per_minute = 1
reads_per_minute = 1
"""
MODEL = """
[[models]]
provider = "p"
model = "m"
family = "m"
title = "M"
capabilities = ["text_to_image"]
max_references = 0
typical_s = 1
per_reference_usd = 0
checked = 2026-11-21
recipes = [{ shape = "square", request = "1:1", width = 1024, height = 1024 }]
prices = { medium = { "1024x1024" = 0.1 } }
input = { size = "size", references = "images", token = "user" }
"""


def candidates(catalog: Catalog = CATALOG, **changes: Any) -> tuple[Candidate, ...]:
    wishes: dict[str, Any] = {
        "step": Step.scene,
        "size": (1920, 1080),
        "quality": "medium",
        "references": 1,
        "provider": None,
        "model": None,
        "force": False,
        "configured": BOTH,
        "today": TODAY,
        "review_above_usd": Decimal("0.50"),
    }
    return catalog.candidates(**{**wishes, **changes})


def names(found: tuple[Candidate, ...]) -> list[tuple[str, str]]:
    return [(candidate.provider, candidate.model) for candidate in found]


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
        candidates(size=(8000, 4500))


def test_more_reference_pictures_than_any_model_takes_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        candidates(references=17)


def test_models_that_take_fewer_reference_pictures_drop_out() -> None:
    found = candidates(references=12)

    assert {candidate.provider for candidate in found} == {"openai"}


def test_an_unknown_outcome_above_the_amount_waits_for_people_and_below_it_is_bought_again() -> None:
    dear = candidates(review_above_usd=Decimal("0.001"))
    cheap = candidates(review_above_usd=Decimal(100))

    assert {candidate.unknown_policy for candidate in dear} == {"review"}
    assert {candidate.unknown_policy for candidate in cheap} == {"resubmit"}


def test_the_most_that_a_purchase_may_cost_is_never_below_its_price() -> None:
    for entry in CATALOG.models:
        for quality in entry.qualities:
            for references in (0, 1):
                price = CATALOG.price(entry, quality, (1920, 1080), references)
                most = entry.max_price(quality=quality, shape="wide", size=(1920, 1080), references=references)

                assert Decimal(0) < price <= most


@pytest.mark.parametrize(
    ("provider", "model", "request_value", "gives"),
    [
        ("replicate", "openai/gpt-image-2.5-flare", "2560x1440", (2560, 1440)),
        ("replicate", "openai/gpt-image-2.5-sunburst", "2560x1440", (2560, 1440)),
        ("replicate", "openai/gpt-image-2", "3:2", (1536, 1024)),
        ("replicate", "openai/gpt-image-1.5", "3:2", (1536, 1024)),
        ("replicate", "openai/gpt-image-1", "3:2", (1536, 1024)),
        ("openai", "gpt-image-2.5-flare", "1920x1088", (1920, 1088)),
        ("openai", "gpt-image-2.5-sunburst", "1920x1088", (1920, 1088)),
        ("openai", "gpt-image-2", "1920x1088", (1920, 1088)),
        ("openai", "gpt-image-1.5", "1536x1024", (1536, 1024)),
        ("openai", "gpt-image-1", "1536x1024", (1536, 1024)),
    ],
)
def test_full_hd_is_asked_for_in_each_models_own_way(
    provider: str, model: str, request_value: str, gives: tuple[int, int]
) -> None:
    recipe = CATALOG.recipe(CATALOG.entry(provider, model), (1920, 1080))

    assert (recipe.request, recipe.gives) == (request_value, gives)


def test_every_pixel_size_that_is_sent_is_one_that_the_models_accept() -> None:
    sent = [recipe for entry in CATALOG.models for recipe in entry.recipes if "x" in recipe.request]

    assert sent
    for recipe in sent:
        assert recipe.request == f"{recipe.width}x{recipe.height}"
        assert recipe.width % 16 == recipe.height % 16 == 0
        assert 655_360 <= recipe.width * recipe.height <= 8_294_400


def test_every_size_that_a_client_may_ask_for_can_be_made_by_every_model() -> None:
    for entry in CATALOG.models:
        assert entry.recipe("square", (1024, 1024)).gives == (1024, 1024)
        assert entry.recipe("square", None).shape == "square"
        assert entry.recipe("wide", (1280, 720)).enlargement((1280, 720)) <= 1
        assert entry.recipe("wide", None).shape == "wide"


def test_prices_carry_the_day_on_which_they_were_checked() -> None:
    assert {entry.checked for entry in CATALOG.models} == {TODAY}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (PROVIDER + PROVIDER, "'p'.*two providers"),
        (PROVIDER + MODEL + MODEL, "'p m'.*two entries"),
        (MODEL, "'p m'.*no such provider"),
        (PROVIDER + MODEL + 'colour = "blue"', "'p m'.*colour"),
        (PROVIDER + MODEL.replace("typical_s = 1", ""), "'p m'.*typical_s"),
        (PROVIDER + MODEL.replace("1024x1024", "1x1"), "'p m'.*no price for medium 1024x1024"),
        (PROVIDER + MODEL.replace('title = "M"', 'title = "M"\nreplaced_by = "x"'), "'p m'.*replaced_by"),
        (PROVIDER + '[[shops]]\nname = "x"', "unknown tables: shops"),
        ("[[", "not valid TOML"),
    ],
)
def test_a_wrong_catalog_is_refused_and_the_entry_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Catalog.parse(text)


def test_a_correct_catalog_of_ones_own_is_taken() -> None:
    catalog = Catalog.parse(PROVIDER + MODEL)

    assert catalog.price(catalog.entry("p", "m"), "medium", None, 0) == Decimal("0.1")
