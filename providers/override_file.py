"""The file of catalog overrides: an operator's own rows, and below a mark those that were found at the providers."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from errors import ConfigurationError

MARK = "# --- found by `diorama catalog refresh --write`: rewritten by it, so write your own rows above this line ---"

Found = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class OverrideFile:
    """What an override file says: `own` is the operator's text, `found` the fields that were found, by provider and model."""

    own: str
    found: Found

    @classmethod
    def read(cls, path: Path) -> "OverrideFile":
        """An empty one when there is no such file. Raises ConfigurationError."""
        try:
            own, _, below = path.read_text("utf-8").partition(MARK)
            rows = tomllib.loads(below).get("models", [])
            found = {
                (row["provider"], row["model"]): {
                    name: value for name, value in row.items() if name not in {"provider", "model"}
                }
                for row in rows
            }
        except FileNotFoundError:
            return cls("", {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"The catalog's overrides cannot be read: {error}") from error
        return cls(own, found)

    def write(self, path: Path) -> None:
        """Put it in the file's place, whole or not at all. Raises ConfigurationError."""
        blocks = [_row(provider, model, fields) for (provider, model), fields in sorted(self.found.items()) if fields]
        own = self.own.rstrip()
        text = "\n\n".join([*([own] if own else []), MARK, *blocks]) + "\n"
        beside = path.with_name(f"{path.name}.new")
        try:
            beside.write_text(text, "utf-8")
            beside.replace(path)
        except OSError as error:
            raise ConfigurationError(f"The catalog's overrides cannot be written: {error}") from error


def _row(provider: str, model: str, fields: Mapping[str, Any]) -> str:
    named = {"provider": provider, "model": model, **fields}
    return "\n".join(["[[models]]", *(f"{name} = {_toml(value)}" for name, value in named.items())])


def _toml(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
