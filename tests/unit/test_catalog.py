"""The catalog: what it holds, and what it refuses to hold."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from errors import ConfigurationError
from providers.catalog import Catalog

TODAY = date(2026, 11, 21)
ROOT = Path(__file__).parents[2]
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
"""
MODEL = """
[[models]]
provider = "p"
model = "m"
family = "m"
title = "M"
preference = 1
quality_rank = 5
capabilities = ["text_to_image"]
max_references = 0
typical_s = 1
checked = 2026-11-21
recipes = [{ shape = "square", request = "1:1", width = 1024, height = 1024 }]
prices = { medium = { "1024x1024" = 0.1 } }
input = { prompt = "prompt", quality = "quality", size = "size", token = "user" }
"""


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


def test_every_pixel_size_that_is_sent_is_one_that_the_gpt_image_models_accept() -> None:
    of_openai = [entry for entry in CATALOG.models if entry.family.startswith("gpt-image")]
    sent = [recipe for entry in of_openai for recipe in entry.recipes if "x" in recipe.request]

    assert sent
    for recipe in sent:
        assert recipe.request == f"{recipe.width}x{recipe.height}"
        assert recipe.width % 16 == recipe.height % 16 == 0
        assert 655_360 <= recipe.width * recipe.height <= 8_294_400


def test_every_size_of_avatars_and_scenes_can_be_made_by_every_recommended_model() -> None:
    for entry in (entry for entry in CATALOG.models if entry.automatic):
        assert entry.recipe("square", (1024, 1024)).gives == (1024, 1024)
        assert entry.recipe("square", None).shape == "square"
        assert entry.recipe("wide", (1280, 720)).enlargement((1280, 720)) <= 1
        assert entry.recipe("wide", None).shape == "wide"


def test_the_order_of_preference_is_the_one_in_the_rows_and_the_recommended_come_first() -> None:
    preferences = [entry.preference for entry in CATALOG.models]
    recommended = [entry.automatic for entry in CATALOG.models]

    assert preferences == sorted(set(preferences)), "two models of the same preference have no order"
    assert recommended == sorted(recommended, reverse=True)
    assert CATALOG.models[0].model == "openai/gpt-image-2.5-flare"


def test_prices_carry_the_day_on_which_they_were_checked() -> None:
    assert all(date(2026, 1, 1) <= entry.checked <= TODAY for entry in CATALOG.models)


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
        (PROVIDER + MODEL.replace("prices = {", "flat_usd = 1\nprices = {"), "'p m'.*exactly one of"),
        (PROVIDER + MODEL.replace("prices = {", "max_gpu_s = 1\nprices = {"), "'p m'.*belong to per_second_usd"),
        (
            PROVIDER + MODEL.replace("recipes = ", "operation = { upscale = '/up' }\nrecipes = "),
            "'p m'.*not capable of upscale",
        ),
        (
            PROVIDER + MODEL.replace("recipes = [{", "traits = { seed = true }\nrecipes = [{"),
            "'p m'.*input.seed is missing",
        ),
        (
            PROVIDER + MODEL.replace("max_references = 0", "max_references = 1"),
            "'p m'.*input.references or input.image",
        ),
        (PROVIDER + MODEL.replace('quality = "quality", ', ""), "'p m'.*input.quality is missing"),
        (PROVIDER + re.sub("recipes = .*", "", MODEL), "'p m'.*recipes or a size_grid"),
        (PROVIDER + MODEL.replace('"text_to_image"', '"text_to_image", "upscale"'), "'p m'.*needs traits.scales"),
        (PROVIDER + '[[shops]]\nname = "x"', "unknown tables: shops"),
        ("models = 3", "models must be a list"),
        ("[[", "not valid TOML"),
    ],
)
def test_a_wrong_catalog_is_refused_and_the_entry_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Catalog.parse(text)


def test_a_correct_catalog_of_ones_own_is_taken() -> None:
    catalog = Catalog.parse(PROVIDER + MODEL)

    assert catalog.price(catalog.entry("p", "m"), "medium", None, 0) == Decimal("0.1")


def test_an_override_changes_what_it_names_and_leaves_the_rest() -> None:
    change = """
    [[models]]
    provider = "p"
    model = "m"
    shutdown = 2027-01-31
    prices = { low = { "1024x1024" = 0.05 } }
    """
    shipped, changed = Catalog.parse(PROVIDER + MODEL), Catalog.parse(PROVIDER + MODEL, change)

    assert changed.entry("p", "m").shutdown == date(2027, 1, 31)
    assert changed.entry("p", "m").qualities == ("medium", "low")
    assert changed.entry("p", "m").recipes == shipped.entry("p", "m").recipes


def test_an_override_can_bring_a_model_of_ones_own() -> None:
    catalog = Catalog.parse(PROVIDER + MODEL, MODEL.replace('model = "m"', 'model = "mine"'))

    assert [entry.model for entry in catalog.models] == ["m", "mine"]


def test_an_override_for_a_model_that_there_is_not_needs_a_whole_row() -> None:
    with pytest.raises(ConfigurationError, match=r"'p other'.*Field required"):
        Catalog.parse(PROVIDER + MODEL, '[[models]]\nprovider = "p"\nmodel = "other"\nshutdown = 2027-01-31')


def test_the_overrides_of_an_installation_are_read_after_the_shipped_rows(tmp_path: Path) -> None:
    own = tmp_path / "catalog.toml"
    own.write_text('[[models]]\nprovider = "openai"\nmodel = "gpt-image-2"\nshutdown = 2027-01-31\n', "utf-8")

    assert Catalog.load(own).entry("openai", "gpt-image-2").shutdown == date(2027, 1, 31)
    assert CATALOG.entry("openai", "gpt-image-2").shutdown is None


def test_overrides_that_cannot_be_read_are_a_fault_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="overrides cannot be read"):
        Catalog.load(tmp_path / "nothing.toml")


def test_the_rows_in_the_documents_are_rows_that_are_taken() -> None:
    new_vendor = _toml_in("docs/adding-a-provider.md")
    of_an_operator = _toml_in("docs/models.md")

    assert Catalog.load_with(new_vendor).entry("pixelworks", "canvas-2").operation["image_variation"] == "/v1/redraw"
    assert Catalog.load_with(of_an_operator).models[0].model == "gpt-image-2"


def _toml_in(document: str) -> str:
    found = re.search(r"```toml\n(.*?)```", (ROOT / document).read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]
