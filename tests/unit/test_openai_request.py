"""The fields that OpenAI is sent, by the catalog's table."""

from dataclasses import replace

import pytest

from contracts.wishes import PictureTraits
from providers.base import Purchase
from providers.catalog import Catalog
from providers.catalog_differences import named_inputs
from providers.model_entry import ModelEntry
from providers.openai_request import form_text, picture_fields

CATALOG = Catalog.load()
ENTRIES = [entry for entry in CATALOG.models if entry.provider == "openai"]
PURCHASE = Purchase(
    token="token-1",
    model="gpt-image-2",
    prompt="a fox",
    quality="low",
    size=(1080, 1920),
    shape="tall",
    references=(),
    deadline_s=60,
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.model)
def test_a_background_is_named_only_when_it_is_to_be_transparent(entry: ModelEntry) -> None:
    order = replace(PURCHASE, model=entry.model)
    plain = picture_fields(order, entry)
    clear = picture_fields(replace(order, traits=PictureTraits(transparent=True)), entry)

    assert clear == {**plain, "background": "transparent"}
    assert "background" not in plain


def test_a_tall_picture_is_asked_for_in_its_own_pixels() -> None:
    assert picture_fields(PURCHASE, CATALOG.entry("openai", "gpt-image-2"))["size"] == "1088x1920"


def test_what_a_row_names_no_input_for_is_not_sent() -> None:
    entry = CATALOG.entry("openai", "gpt-image-2")
    without = entry.model_copy(update={"input": entry.input.model_copy(update={"quality": None})})

    assert picture_fields(PURCHASE, entry).keys() - picture_fields(PURCHASE, without).keys() == {"quality"}


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (3, "3"), (0.5, "0.5"), ("png", "png")])
def test_a_form_takes_fields_as_text(value: str | float, text: str) -> None:
    assert form_text(value) == text


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.model)
def test_every_input_that_a_row_names_is_one_that_is_filled(entry: ModelEntry) -> None:
    order = replace(PURCHASE, model=entry.model, traits=PictureTraits(transparent=True))
    named = set(named_inputs(entry.input).values()) - {entry.input.references}

    assert named <= picture_fields(order, entry).keys()
