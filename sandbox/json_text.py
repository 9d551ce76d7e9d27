"""JSON in and out, at the speed of the Rust encoder that pydantic brings along."""

from typing import Any

from pydantic_core import from_json, to_json

Json = dict[str, Any]


def encode(value: object) -> bytes:
    """The value as compact UTF-8 JSON."""
    return to_json(value)


def decode(text: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError when it is not JSON."""
    return from_json(text)
