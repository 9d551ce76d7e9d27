"""All prompts and themes, loaded once at start; and the prompts for each step."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Self

from contracts.requests import AvatarSpec, SceneSpec
from errors import UnknownPrompt
from prompts.template import RenderedPrompt, Template, parse
from prompts.themes import Theme, Themes


class PromptLibrary:
    """Templates by name, and the themes that scenes take place in."""

    def __init__(self, templates: Mapping[str, Template], themes: Themes) -> None:
        self._templates = dict(templates)
        self.themes = themes

    @classmethod
    def load(cls, folder: Traversable | None = None) -> Self:
        """Reads this package's files, or those of another folder. PromptError when any of them is not sound."""
        folder = folder or files("prompts")
        names = [file.name.removesuffix(".md") for file in folder.iterdir() if file.name.endswith(".md")]
        templates = {name: parse(name, folder.joinpath(f"{name}.md").read_text("utf-8")) for name in names}
        return cls(templates, Themes.load(folder.joinpath("themes")))

    def render(self, name: str, variables: Mapping[str, str]) -> RenderedPrompt:
        """Fills a template in. UnknownPrompt, MissingVariables (names all), PromptError for variables it does not know."""
        try:
            template = self._templates[name]
        except KeyError:
            raise UnknownPrompt(f"there is no prompt {name!r}", prompt=name) from None
        return template.render(variables)

    def avatar_prompt(self, spec: AvatarSpec) -> RenderedPrompt:
        """The prompt for an avatar; without a style of its own it gets the house style."""
        return self.render("avatar", {"description": spec.description, "style": spec.style})

    def scene_prompt(self, spec: SceneSpec, theme: Theme) -> RenderedPrompt:
        """The prompt for a scene with the character of a reference image; its hash covers the template and the theme."""
        rendered = self.render(
            "scene",
            {
                "title": theme.title,
                "setting": theme.setting,
                "details": spec.details,
                "light": theme.light,
                "palette": theme.palette,
                "composition": theme.composition,
                "avoid": ", ".join(theme.avoid),
            },
        )
        return replace(rendered, sha256=sha256(f"{rendered.sha256}{theme.sha256}".encode()).hexdigest())
