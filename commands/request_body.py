"""From what was typed to the body of POST /v1/generations."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

# Which parts a kind has, and the option that a part cannot do without.
PARTS = {
    "avatar": ("avatar",),
    "scene": ("scene", "source"),
    "avatar-scene": ("avatar", "scene"),
    "image": ("words", "pictures", "traits"),
    "enhance": ("enhancement", "pictures"),
}
NEEDED = {
    "avatar": ("description", "--description"),
    "scene": ("theme", "--theme"),
    "words": ("prompt", "--prompt"),
}
# These stand in the body under their own names; all other parts' fields stand in it themselves.
OBJECTS = ("avatar", "scene", "traits")
NOTHING: Mapping[str, Any] = {}


def request_body(
    what: str,
    *,
    avatar: Mapping[str, Any] = NOTHING,
    scene: Mapping[str, Any] = NOTHING,
    source: Mapping[str, Any] = NOTHING,
    words: Mapping[str, Any] = NOTHING,
    traits: Mapping[str, Any] = NOTHING,
    enhancement: Mapping[str, Any] = NOTHING,
    pictures: Sequence[str] = (),
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Only what was given, so that the rest gets the server's defaults. Raises typer.BadParameter: parts do not fit.

    `pictures` are asset ids or paths of files, which are still to be uploaded (see commands/own_pictures.py).
    """
    given = {"avatar": avatar, "scene": scene, "source": source, "words": words, "traits": traits}
    given |= {"enhancement": enhancement, "pictures": _named(what, pictures)}
    parts = {name: _given(part) for name, part in given.items()}
    _check(what, parts)
    body: dict[str, Any] = {"kind": what.replace("-", "_")}
    for name in PARTS[what]:
        if name not in OBJECTS:
            body |= parts[name]
        elif parts[name]:
            body[name] = parts[name]
    return body | _given(options)


def _named(what: str, pictures: Sequence[str]) -> dict[str, Any]:
    if what == "enhance" and len(pictures) == 1:
        return {"image_asset_id": pictures[0]}
    return {"image_asset_ids": list(pictures)}


def _check(what: str, parts: Mapping[str, Mapping[str, Any]]) -> None:
    for name, part in parts.items():
        if part and name not in PARTS[what]:
            raise typer.BadParameter(f"{', '.join(part)}: not an option of '{what}'.")
        field, option = NEEDED.get(name, ("", ""))
        if name in PARTS[what] and field and field not in part:
            raise typer.BadParameter(f"'{what}' needs {option}.")
    if what == "scene" and len(parts["source"]) != 1:
        raise typer.BadParameter("'scene' needs exactly one of --avatar-asset and --image-url.")
    if what == "enhance" and "image_asset_id" not in parts["pictures"]:
        raise typer.BadParameter("'enhance' needs exactly one --image.")


def _given(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None and value != []}
