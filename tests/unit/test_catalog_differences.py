"""Comparing rows of the catalog with what a provider says of its models."""

from datetime import date
from typing import Any

import pytest

from providers.catalog import Catalog
from providers.catalog_differences import gone, input_differences, shutdown_difference
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry
from providers.sizes import SizeGrid

TODAY = date(2026, 11, 21)
SAMPLE = Catalog.load().models[0]
ENTRY = ModelEntry.model_validate(
    {
        **SAMPLE.model_dump(exclude={"traits", "input", "recipes", "prices", "size_grid", "shutdown", "replaced_by"}),
        "flat_usd": 1,
        "recipes": [{"shape": "square", "request": "1:1", "width": 1024, "height": 1024}],
        "traits": {"steps": (1, 50), "guidance": (1, 10), "formats": ("png", "webp")},
        "input": {
            "prompt": "prompt",
            "size": "aspect_ratio",
            "references": "images",
            "steps": "num_steps",
            "guidance": "guidance_scale",
            "format": "output_format",
            "fixed": {"go_fast": True},
        },
    }
)
PROPERTIES: dict[str, Any] = {
    "prompt": {"type": "string"},
    "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}], "default": "1:1"},
    "images": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "num_steps": {"type": "integer", "minimum": 1, "maximum": 50},
    "guidance_scale": {"type": "number", "minimum": 1, "maximum": 10},
    "output_format": {"type": "string", "enum": ["png", "webp", "jpg"]},
    "go_fast": {"type": "boolean"},
}


def schema(changes: dict[str, Any] | None = None, required: tuple[str, ...] = ("prompt",)) -> InputSchema:
    properties = {name: rules for name, rules in {**PROPERTIES, **(changes or {})}.items() if rules is not None}
    document = {
        "components": {
            "schemas": {
                "Input": {"type": "object", "required": [*required], "properties": properties},
                "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9"]},
            }
        }
    }
    read = InputSchema.read(document)
    assert read is not None
    return read


def refused(found: InputSchema) -> list[str]:
    return [told.what for told in input_differences(ENTRY, found) if told.is_refused]


def test_a_row_that_says_what_the_model_says_has_no_differences() -> None:
    assert input_differences(ENTRY, schema()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"images": None}, "input images: the model has no such input"),
        ({"go_fast": None}, "input go_fast: the model has no such input"),
        ({"go_fast": {"type": "string"}}, "input go_fast = True: the model takes a string"),
        ({"go_fast": {"type": "integer"}}, "input go_fast = True: the model takes a number"),
        ({"aspect_ratio": {"type": "string", "enum": ["16:9"]}}, "input aspect_ratio = 1:1: the model takes 16:9"),
        ({"output_format": {"enum": ["png", "jpg"]}}, "input output_format = webp: the model takes png, jpg"),
        ({"images": {"type": "string"}}, "input images: the model takes one picture, and no list"),
        (
            {"num_steps": {"type": "integer", "minimum": 1, "maximum": 4}},
            "input num_steps: the model takes 1 to 4, the catalog 1 to 50",
        ),
    ],
)
def test_what_the_model_would_refuse_is_told(changes: dict[str, Any], what: str) -> None:
    assert refused(schema(changes)) == [what]


def test_an_input_that_the_model_needs_and_we_never_send_is_a_refusal() -> None:
    found = schema({"openai_api_key": {"type": "string"}}, required=("prompt", "openai_api_key"))

    assert refused(found) == ["input openai_api_key: the model needs it, and we never send it"]


def test_a_wider_range_of_the_models_is_told_and_changes_nothing() -> None:
    wider = schema({"guidance_scale": {"type": "number", "minimum": 0, "maximum": 20}})

    (told,) = input_differences(ENTRY, wider)

    assert not told.is_refused
    assert told.found == {}


def test_of_a_narrower_range_what_both_allow_is_found() -> None:
    narrower = schema({"guidance_scale": {"type": "number", "minimum": 0, "maximum": 7.5}})

    (told,) = input_differences(ENTRY, narrower)

    assert told.is_refused
    assert told.found == {"traits": {"guidance": [1, 7.5]}}


def test_a_side_that_a_grid_allows_and_the_model_does_not_is_a_refusal() -> None:
    grid = SizeGrid(multiple=32, least_pixels=65_536, most_pixels=2_097_152, longest_side=1500, widest_ratio=4)
    row = ENTRY.model_copy(
        update={"size_grid": grid, "input": ENTRY.input.model_copy(update={"width": "width", "height": "height"})}
    )
    sides = {"type": "integer", "minimum": 256, "maximum": 1440}

    told = [one.what for one in input_differences(row, schema({"width": sides, "height": sides})) if one.is_refused]

    assert told == [
        f"input {name} = {side}: the model takes at least 256 and at most 1440"
        for name in ("width", "height")
        for side in (128, 1472)
    ]


def test_a_bound_that_the_model_does_not_name_is_ours() -> None:
    assert input_differences(ENTRY, schema({"num_steps": {"type": "integer"}})) == []


def test_inputs_that_the_row_does_not_use_are_told() -> None:
    (told,) = input_differences(ENTRY, schema({"seed": {"type": "integer"}}))

    assert (told.what, told.is_refused) == ("inputs that the row does not use: seed", False)


def test_a_size_that_is_in_no_list_but_fits_the_pattern_is_taken() -> None:
    either = {"type": "string", "enum": ["16:9"], "pattern": "^[0-9]+:[0-9]+$"}

    assert refused(schema({"aspect_ratio": either})) == []


@pytest.mark.parametrize("document", [None, [], {}, {"components": []}, {"components": {"schemas": {"Input": 1}}}])
def test_what_is_no_description_of_inputs_is_not_read_as_one(document: object) -> None:
    assert InputSchema.read(document) is None


def test_a_shutdown_date_that_the_catalog_does_not_have_is_found() -> None:
    announced = date(2027, 3, 1)
    told = shutdown_difference(ENTRY, announced)

    assert told is not None
    assert told.found == {"shutdown": announced}
    assert shutdown_difference(ENTRY.model_copy(update={"shutdown": announced}), announced) is None


def test_no_announced_date_is_no_difference() -> None:
    assert shutdown_difference(ENTRY.model_copy(update={"shutdown": TODAY}), None) is None


def test_a_model_that_is_gone_is_a_refusal_until_the_day_on_which_it_was_to_go() -> None:
    ended = ENTRY.model_copy(update={"shutdown": date(2026, 11, 1)})

    assert gone(ENTRY, TODAY).is_refused
    assert not gone(ended, TODAY).is_refused
