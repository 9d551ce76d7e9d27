"""Finding terms of the policy in a prompt, in a time that grows with its length and no faster."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator, StringConstraints

from prompts.folding import folded

# One word or several; a `*` stands for the rest of a word, `#` for an age below 18.
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2), AfterValidator(folded)]
Terms = tuple[Term, ...]

DIGITS: Final = tuple("0123456789")
BELOW_18: Final = r"(?:1[0-7]|\d)"
_WORD: Final = re.compile(r"\w+")
_WORD_OF_TERM: Final = re.compile(r"[\w*#]+")
_OPEN: Final = re.compile(r"[*#]")


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt's text, each of its words once, and where its words begin."""

    text: str
    words: frozenset[str]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """The words of a folded text."""
        found = list(_WORD.finditer(text))
        return cls(text, frozenset(one[0] for one in found), tuple(one.start() for one in found))

    def place(self, offset: int) -> int:
        """The number of the word at this character."""
        return bisect_right(self.starts, offset)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Finds any of these terms. A look at their first words comes before: most prompts have none of them."""

    pattern: re.Pattern[str]
    first: frozenset[str]
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, terms: Iterable[str]) -> Self:
        """None of them are found in anything, when there are none."""
        terms = tuple(terms)
        first = [_WORD_OF_TERM.match(term) for term in terms]
        words = [found[0] for found in first if found is not None]
        open_ended = {_OPEN.split(word, maxsplit=1)[0] for word in words if _OPEN.search(word)}
        beginnings = {*(DIGITS if "" in open_ended else ()), *(open_ended - {""})}
        return cls(_any_of(terms), frozenset(words), tuple(beginnings))

    def may_stand_in(self, words: frozenset[str]) -> bool:
        """Whether a term could begin with one of these words."""
        if not self.first.isdisjoint(words):
            return True
        # A loop: `any` over a generator takes three times as long, and this is asked of each rule at each request.
        if self.beginnings:
            for word in words:
                if word.startswith(self.beginnings):
                    return True
        return False

    def passed_over(self, text: str) -> Reading:
        """The words of a folded text without these terms."""
        reading = Reading.of(text)
        return Reading.of(self.pattern.sub(" ", text)) if self.may_stand_in(reading.words) else reading

    def places(self, reading: Reading) -> list[int]:
        """The numbers of the words at which a term stands, in order."""
        if not self.may_stand_in(reading.words):
            return []
        return [reading.place(found.start()) for found in self.pattern.finditer(reading.text)]


def _any_of(terms: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(_pattern(term) for term in terms)})(?!\w)")


def _pattern(term: str) -> str:
    """Spaces in a term may be any break between words."""
    pattern = re.escape(term).replace(r"\*", r"\w*").replace(r"\#", BELOW_18)
    return pattern.replace(r"\ ", r"[\W_]+")
