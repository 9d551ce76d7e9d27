"""Complaints about inputs in Replicate's words."""

from typing import Any

import pytest

from sandbox.models import load_models
from sandbox.replicate.validation import as_detail, complaints

SCHNELL = load_models().replicate["black-forest-labs/flux-schnell"].schema


def test_a_good_input_has_no_complaints() -> None:
    assert complaints(SCHNELL, {"prompt": "a lake", "num_inference_steps": 4, "seed": 7, "go_fast": True}) == []


def test_complaints_read_as_the_api_writes_them() -> None:
    found = complaints(SCHNELL, {"num_inference_steps": 5})

    assert as_detail(found) == (
        "- input: prompt is required\n- input.num_inference_steps: Must be less than or equal to 4\n"
    )
    assert [one.as_json() for one in found] == [
        {"type": "required", "field": "input", "description": "prompt is required"},
        {
            "type": "number_lte",
            "field": "input.num_inference_steps",
            "description": "Must be less than or equal to 4",
        },
    ]


@pytest.mark.parametrize(
    ("values", "rule", "field"),
    [
        ({"prompt": 3}, "invalid_type", "input.prompt"),
        ({"prompt": "a", "aspect_ratio": "7:7"}, "enum", "input.aspect_ratio"),
        ({"prompt": "a", "num_outputs": 0}, "number_gte", "input.num_outputs"),
        ({"prompt": "a", "num_outputs": True}, "invalid_type", "input.num_outputs"),
        ({"prompt": "a", "shape": "round"}, "additional_property_not_allowed", "input"),
        ("a lake", "invalid_type", "input"),
    ],
)
def test_each_rule_names_its_field(values: Any, rule: str, field: str) -> None:
    assert [(one.rule, one.field) for one in complaints(SCHNELL, values)] == [(rule, field)]


def test_items_of_a_list_are_checked() -> None:
    schema = load_models().replicate["openai/gpt-image-2"].schema

    found = complaints(schema, {"prompt": "a", "input_images": ["https://x/1.png", 2]})

    assert [one.field for one in found] == ["input.input_images.1"]
