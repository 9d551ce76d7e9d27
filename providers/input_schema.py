"""A model's own description of its inputs (JSON Schema), read for what our rows say about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Self

_NUMBERS = {"integer", "number"}


@dataclass(frozen=True, slots=True)
class InputSchema:
    """The inputs that a model knows, and those that it needs."""

    properties: Mapping[str, Mapping[str, Any]]
    required: frozenset[str]

    @classmethod
    def read(cls, document: object) -> Self | None:
        """From the `openapi_schema` of a model's version as Cog writes it; None when it holds no description of inputs."""
        schemas = _object(_object(_object(document).get("components")).get("schemas"))
        return cls.of(schemas.get("Input"), schemas)

    @classmethod
    def of(cls, described: object, schemas: Mapping[str, Any] = MappingProxyType({})) -> Self | None:
        """From the JSON Schema of the inputs, which may refer to `schemas`; None when it is none."""
        given = _object(described)
        if not isinstance(given.get("properties"), dict):
            return None
        properties = {name: _resolved(value, schemas) for name, value in given["properties"].items()}
        needed = given.get("required")
        return cls(properties, frozenset(map(str, needed)) if isinstance(needed, list) else frozenset())

    def together_with(self, other: Self) -> Self:
        """The inputs of two operations of one model: what either knows, and needs."""
        return replace(
            self, properties={**other.properties, **self.properties}, required=self.required | other.required
        )

    def refusal(self, name: str, value: object) -> str | None:
        """Why the model would refuse this value, in words; None when it takes it."""
        rules = self.properties.get(name)
        if rules is None:
            return "the model has no such input"
        if isinstance(rules.get("enum"), list):
            return _outside_of_list(rules, value)
        if rules.get("type") in _NUMBERS:
            return _outside_of_range(rules, value)
        kind = {"boolean": bool, "string": str}.get(str(rules.get("type")))
        if kind is not None and not isinstance(value, kind):
            return f"the model takes a {rules['type']}"
        return None

    def range(self, name: str) -> tuple[float | None, float | None]:
        """The least and the most that an input takes; None where there is no bound."""
        rules = self.properties.get(name, {})
        return _number(rules.get("minimum")), _number(rules.get("maximum"))

    def is_list(self, name: str) -> bool:
        """True when an input takes several values."""
        return self.properties.get(name, {}).get("type") == "array"

    def most_items(self, name: str) -> int | None:
        """How many values an input takes at most; None where there is no bound."""
        most = _number(self.properties.get(name, {}).get("maxItems"))
        return None if most is None else int(most)


def _outside_of_list(rules: Mapping[str, Any], value: object) -> str | None:
    if value in rules["enum"]:
        return None
    pattern = rules.get("pattern")  # some models list names and take pixels as well
    if isinstance(pattern, str) and isinstance(value, str) and re.search(pattern, value):
        return None
    return f"the model takes {', '.join(map(str, rules['enum']))}"


def _outside_of_range(rules: Mapping[str, Any], value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "the model takes a number"
    if rules.get("type") == "integer" and value != int(value):
        return "the model takes whole numbers"
    least, most = _number(rules.get("minimum")), _number(rules.get("maximum"))
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = [f"at least {least:g}" if least is not None else "", f"at most {most:g}" if most is not None else ""]
        return f"the model takes {' and '.join(filter(None, bounds))}"
    return None


def _resolved(value: object, schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """A property with what it refers to in its place: Cog puts lists of choices into schemas of their own."""
    rules = dict(_object(value))
    parts = rules.pop("allOf", None)
    for part in [*(parts if isinstance(parts, list) else []), {"$ref": rules.pop("$ref", None)}]:
        target = str(_object(part).get("$ref") or "").rpartition("/")[2]
        rules = {**_object(schemas.get(target)), **rules}
    return rules


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
