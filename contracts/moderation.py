"""What somebody who looked at a prompt says about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class Action(StrEnum):
    """What is to become of a prompt; each is stricter than the one before."""

    allow = "allow"
    review = "review"
    block = "block"

    @property
    def strictness(self) -> int:
        """For comparisons."""
        return _STRICTNESS[self]


_STRICTNESS: Final = {action: place for place, action in enumerate(Action)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`categories`: why, in the words that OpenAI's moderation uses (`sexual/minors`); none when all is well."""

    action: Action = Action.allow
    categories: tuple[str, ...] = ()

    def and_(self, other: Self) -> Self:
        """The stricter action of both, for the reasons of both."""
        action = max(self.action, other.action, key=lambda one: one.strictness)
        return type(self)(action, tuple(sorted({*self.categories, *other.categories})))
