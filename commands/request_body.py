"""From what was typed to the body of POST /v1/generations."""

from collections.abc import Mapping
from typing import Any

import typer

# Which parts a kind has, and the option that it cannot do without.
PARTS = {"avatar": ("avatar",), "scene": ("scene", "source"), "avatar-scene": ("avatar", "scene")}
NEEDED = {"avatar": ("description", "--description"), "scene": ("theme", "--theme")}


def request_body(
    what: str,
    *,
    avatar: Mapping[str, Any],
    scene: Mapping[str, Any],
    source: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Only what was given, so that the rest gets the server's defaults. Raises typer.BadParameter: parts do not fit."""
    parts = {name: _given(part) for name, part in {"avatar": avatar, "scene": scene, "source": source}.items()}
    for name, part in parts.items():
        if part and name not in PARTS[what]:
            raise typer.BadParameter(f"{', '.join(part)}: not an option of '{what}'.")
        field, option = NEEDED.get(name, ("", ""))
        if name in PARTS[what] and field and field not in part:
            raise typer.BadParameter(f"'{what}' needs {option}.")
    if what == "scene" and len(parts["source"]) != 1:
        raise typer.BadParameter("'scene' needs exactly one of --avatar-asset and --image-url.")
    body = {"kind": what.replace("-", "_"), **{name: parts[name] for name in PARTS[what] if name != "source"}}
    return {**body, **parts["source"], **_given(options)}


def _given(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None and value != []}
