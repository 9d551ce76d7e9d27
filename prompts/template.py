"""One prompt template: a text file with front matter, and how it is filled in."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from pydantic import Field, ValidationError

from contracts.frozen import Frozen
from errors import MissingVariables, PromptError

_FENCE = "+++\n"
_VARIABLE = re.compile(r"\{\{([a-z_]+)\}\}")


class FrontMatter(Frozen):
    """What a template says about itself, in TOML between two lines of `+++`.

    `version` grows with every change of the text. A blank variable takes its text from `defaults`; when it is `optional`,
    the paragraph it stands in is left out.
    """

    name: str
    version: int
    description: str
    optional: tuple[str, ...] = ()
    defaults: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as it is sent, and what it was made from.

    `sha256` is over the files: the same hash with the same variables always gives the same text.
    """

    text: str
    name: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template's text with `{{variables}}`; build it with `parse`."""

    front: FrontMatter
    text: str
    sha256: str

    @property
    def variables(self) -> frozenset[str]:
        """The names that the text asks for."""
        return _variables_in(self.text)

    def render(self, variables: Mapping[str, str]) -> RenderedPrompt:
        """Fills the text in, once: values are put in as they are, so that nothing in them is taken for a variable.

        MissingVariables names all that are not given, or blank without a default; PromptError names those that the
        template does not know.
        """
        unknown = sorted(variables.keys() - self.variables)
        if unknown:
            raise PromptError(f"prompt {self.front.name} has no variables {', '.join(unknown)}", unknown=unknown)
        values = {name: text.strip() or self.front.defaults.get(name, "") for name, text in variables.items()}
        missing = sorted(name for name in self.variables - {*self.front.optional} if not values.get(name))
        if missing:
            raise MissingVariables(f"prompt {self.front.name} needs {', '.join(missing)}", missing=missing)
        kept = (paragraph for paragraph in self.text.split("\n\n") if not self._is_left_out(paragraph, values))
        text = "\n\n".join(_VARIABLE.sub(lambda found: values[found[1]], paragraph) for paragraph in kept)
        return RenderedPrompt(text, self.front.name, self.front.version, self.sha256)

    def _is_left_out(self, paragraph: str, values: Mapping[str, str]) -> bool:
        return any(not values.get(name) for name in _variables_in(paragraph))


@lru_cache(maxsize=1000)
def _variables_in(text: str) -> frozenset[str]:
    """Of a template or a part of it: few texts, asked for at every quote."""
    return frozenset(_VARIABLE.findall(text))


def parse(name: str, source: str) -> Template:
    """The template in a file's text. PromptError when it is not sound in itself, so that a bad file stops the start."""
    try:
        before, head, text = source.split(_FENCE, 2)
        front = FrontMatter.model_validate(tomllib.loads(head))
    except (ValueError, ValidationError) as error:
        raise PromptError(f"prompt {name}: the front matter cannot be read: {error}") from error
    template = Template(front, text.strip(), sha256(source.encode()).hexdigest())
    if before or front.name != name:
        raise PromptError(f"prompt {name}: the file must begin with its front matter, under its own name")
    unused = {*front.optional, *front.defaults} - template.variables
    if unused:
        raise PromptError(f"prompt {name}: the text does not use {', '.join(sorted(unused))}")
    if "{{" in _VARIABLE.sub("", text) or "}}" in _VARIABLE.sub("", text):
        raise PromptError(f"prompt {name}: a variable is written {{{{like_this}}}}")
    return template
