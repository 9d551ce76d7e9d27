"""Checks a model's input against its schema and words the complaints as Replicate does."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sandbox.json_text import Json

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_JSON_NAMES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One field that breaks the schema: JSON-schema rule, dotted field, and words."""

    rule: str
    field: str
    description: str

    def as_json(self) -> Json:
        """An entry of `invalid_fields`."""
        return {"type": self.rule, "field": self.field, "description": self.description}


def complaints(schema: Json, value: Any, field: str = "input") -> list[Complaint]:
    """Everything that is wrong with the value, in the order of the schema."""
    return list(_check(schema, value, field))


def as_detail(found: list[Complaint]) -> str:
    """The complaints as the list that `detail` holds."""
    return "".join(f"- {one.field}: {one.description}\n" for one in found)


def _check(schema: Json, value: Any, field: str) -> Iterator[Complaint]:
    kind = schema.get("type")
    if kind and not _TYPES[kind](value):
        given = _JSON_NAMES.get(type(value), "null")
        yield Complaint("invalid_type", field, f"Invalid type. Expected: {kind}, given: {given}")
        return
    if kind == "object":
        yield from _check_object(schema, value, field)
    elif kind == "array":
        for index, item in enumerate(value):
            yield from _check(schema.get("items", {}), item, f"{field}.{index}")
    else:
        yield from _check_scalar(schema, value, field)


def _check_object(schema: Json, value: Json, field: str) -> Iterator[Complaint]:
    properties: Json = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield Complaint("required", field, f"{name} is required")
    for name, item in value.items():
        if name in properties:
            yield from _check(properties[name], item, f"{field}.{name}")
        elif not schema.get("additionalProperties", False):
            yield Complaint("additional_property_not_allowed", field, f"Additional property {name} is not allowed")


def _check_scalar(schema: Json, value: Any, field: str) -> Iterator[Complaint]:
    choices = schema.get("enum")
    pattern = schema.get("pattern")
    # A schema with both (the sizes of gpt-image-2.5) takes one of the choices or anything of the pattern's shape.
    shaped = pattern is not None and re.fullmatch(pattern, str(value)) is not None
    if choices is not None and value not in choices and not shaped:
        words = ", ".join(f'"{choice}"' for choice in choices)
        yield Complaint("enum", field, f"{field.removeprefix('input.')} must be one of the following: {words}")
    if (least := schema.get("minimum")) is not None and value < least:
        yield Complaint("number_gte", field, f"Must be greater than or equal to {least}")
    if (most := schema.get("maximum")) is not None and value > most:
        yield Complaint("number_lte", field, f"Must be less than or equal to {most}")
