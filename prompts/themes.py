"""Themes: the places in which a character can stand, one TOML file each."""

import tomllib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import StringConstraints, ValidationError

from contracts.frozen import Frozen
from contracts.requests import ThemeName
from errors import PromptError, UnknownTheme

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Theme(Frozen):
    """A place: `title` and `description` are for people, the rest is for the picture model."""

    name: ThemeName
    title: Text
    description: Text
    setting: Text
    light: Text
    palette: Text
    composition: Text
    avoid: tuple[Text, ...]
    sha256: str


class Themes:
    """All themes, by name."""

    def __init__(self, themes: Iterable[Theme]) -> None:
        self._by_name: Mapping[str, Theme] = MappingProxyType(
            {theme.name: theme for theme in sorted(themes, key=lambda theme: theme.name)}
        )

    @classmethod
    def load(cls, folder: Traversable) -> Self:
        """Reads every `*.toml` in a folder. PromptError when one is not sound."""
        return cls(_read(file) for file in folder.iterdir() if file.name.endswith(".toml"))

    def list(self) -> tuple[Theme, ...]:
        """All themes in the order of their names."""
        return tuple(self._by_name.values())

    def get(self, name: str) -> Theme:
        """The theme of this name. UnknownTheme, with the names there are."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownTheme(f"there is no theme {name!r}", theme=name, themes=[*self._by_name]) from None


def _read(file: Traversable) -> Theme:
    source = file.read_text("utf-8")
    try:
        theme = Theme.model_validate({**tomllib.loads(source), "sha256": sha256(source.encode()).hexdigest()})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise PromptError(f"theme {file.name} cannot be read: {error}") from error
    if file.name != f"{theme.name}.toml":
        raise PromptError(f"theme {file.name} calls itself {theme.name}")
    return theme
