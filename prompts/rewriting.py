"""Softer words for a prompt that a safety filter refused: by rules in files, each for the categories that it answers."""

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, ValidationError

from contracts.frozen import Frozen
from errors import PromptError

Word = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=3)]

UNSPECIFIED: Final = "unspecified"
# For these there are no other words: nothing is suggested.
NEVER: Final = frozenset({"sexual/minors", "self-harm/intent", "self-harm/instructions", "hate/threatening"})
_SPACES: Final = re.compile(r"[ \t]{2,}")
_BEFORE_STOP: Final = re.compile(r"[ \t]+([,.;:!?])")


class Rule(Frozen):
    """Words, each a whole word or several, and what takes their place."""

    words: tuple[Word, ...] = Field(min_length=1)
    instead: str = Field(min_length=1)


class SofterWords(Frozen):
    """The rules for some of the categories that filters name."""

    categories: frozenset[str] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @property
    def replacements(self) -> dict[str, str]:
        """Word -> what takes its place."""
        return {word: rule.instead for rule in self.rules for word in rule.words}


class Rewriter:
    """Suggests other words. Pure: the same prompt and categories give the same suggestion."""

    def __init__(self, tables: Iterable[SofterWords]) -> None:
        self._tables = tuple(tables)

    @classmethod
    def load(cls, folder: Traversable | None = None) -> Self:
        """Reads this package's files, or those of another folder. PromptError when any of them is not sound."""
        folder = folder or files("prompts").joinpath("softer_words")
        named = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
        return cls([_read(file) for file in named])

    def rewritten(self, prompt: str, categories: Iterable[str]) -> str | None:
        """The prompt in softer words, never the same as it was; None when no rule fits, or when there must be none.

        The rules of the named categories are tried first; where these find nothing, all are: filters name categories loosely.
        """
        named = frozenset(categories) - {UNSPECIFIED}
        if named & NEVER:
            return None
        fitting = [table for table in self._tables if table.categories & (named | {UNSPECIFIED})]
        for tables in (fitting, self._tables) if named else (self._tables,):
            softer = _replaced(prompt, tables)
            if softer != prompt:
                return softer
        return None


def _replaced(prompt: str, tables: Iterable[SofterWords]) -> str:
    replacements: dict[str, str] = {}
    for table in tables:
        replacements |= table.replacements
    longest_first = sorted(replacements, key=len, reverse=True)
    if not longest_first:
        return prompt
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    softer, count = pattern.subn(lambda found: _as_written(found[0], replacements[found[0].lower()]), prompt)
    if not count:
        return prompt
    return _BEFORE_STOP.sub(r"\1", _SPACES.sub(" ", softer)).strip()


def _as_written(found: str, instead: str) -> str:
    """A word that began a sentence still does."""
    return instead[0].upper() + instead[1:] if found[0].isupper() else instead


def _read(file: Traversable) -> SofterWords:
    try:
        return SofterWords.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise PromptError(f"softer words {file.name} cannot be read: {error}") from error
