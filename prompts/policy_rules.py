"""Our own rules about prompts, in files: which words, near which others, make a picture one that is not made, or is noted."""

import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from contracts.frozen import Frozen
from contracts.moderation import Action, Verdict
from errors import PromptError
from prompts.folding import readings
from prompts.term_matching import AnyOf, Reading, Terms
from prompts.unwanted import Unwanted, UnwantedWords

Read = TypeVar("Read", "Policy", "Harmless", UnwantedWords)

HARMLESS: Final = "harmless.toml"
UNWANTED: Final = "unwanted.toml"


class PolicyRule(Frozen):
    """Fires on any of `words`; with `near`, only when any of these stands within `within` words of it (None: anywhere, and
    spelt in whichever way).

    `unless`: words that show that it is meant well, such as those of art; then the action is `then`.
    """

    action: Action
    words: Terms = Field(min_length=1)
    near: Terms = ()
    within: int | None = Field(default=None, ge=1, le=100)
    unless: Terms = ()
    then: Action = Action.allow

    @model_validator(mode="after")
    def _within_something(self) -> Self:
        if self.within is not None and not self.near:
            raise ValueError("`within` without `near` says nothing")
        return self


class Policy(Frozen):
    """The rules of one category."""

    category: str = Field(pattern=r"^[a-z-]+(/[a-z-]+)?$")
    rules: tuple[PolicyRule, ...] = Field(min_length=1)


class Harmless(Frozen):
    """Phrases in which a word means something else: they are passed over."""

    phrases: Terms = Field(min_length=1)


class PolicyRules:
    """Judges prompts by their words. Pure: the same prompt gives the same verdict."""

    def __init__(self, policies: Iterable[Policy], harmless: Harmless, unwanted: UnwantedWords) -> None:
        self._rules = tuple(_Compiled.of(policy.category, rule) for policy in policies for rule in policy.rules)
        self._harmless = AnyOf.of(harmless.phrases)
        self._unwanted = Unwanted(unwanted)

    @classmethod
    def load(cls, folder: Traversable | None = None) -> Self:
        """Reads this package's files, or those of another folder. PromptError when any of them is not sound."""
        folder = folder or files("prompts").joinpath("policy")
        named = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
        policies = [_read(file, Policy) for file in named if file.name not in {HARMLESS, UNWANTED}]
        return cls(
            policies, _read(folder.joinpath(HARMLESS), Harmless), _read(folder.joinpath(UNWANTED), UnwantedWords)
        )

    def verdict(self, prompt: str) -> Verdict:
        """The strictest of what the rules say, with the categories of all that say something."""
        found_in = [self._harmless.passed_over(text) for text in readings(prompt)]
        actions = [(rule.category, rule.action_on(found_in)) for rule in self._rules]
        told = [(category, action) for category, action in actions if action is not Action.allow]
        if not told:
            return Verdict()
        strictest = max((action for _, action in told), key=lambda action: action.strictness)
        return Verdict(strictest, tuple(sorted({category for category, _ in told})))

    def meaning_of(self, negative_prompt: str | None) -> str:
        """What the picture is to be by what is not wanted in it, in words to judge beside the prompt; mostly none."""
        return self._unwanted.meaning(negative_prompt) if negative_prompt else ""


@dataclass(frozen=True, slots=True)
class _Compiled:
    category: str
    rule: PolicyRule
    words: AnyOf
    near: AnyOf
    unless: AnyOf

    @classmethod
    def of(cls, category: str, rule: PolicyRule) -> Self:
        return cls(category, rule, AnyOf.of(rule.words), AnyOf.of(rule.near), AnyOf.of(rule.unless))

    def action_on(self, meant: Sequence[Reading]) -> Action:
        """On a prompt, in all the ways in which it may be meant: the strictest."""
        firing = self._firing(meant)
        if not firing:
            return Action.allow
        actions = [self.rule.then if self.unless.places(reading) else self.rule.action for reading in firing]
        return max(actions, key=lambda action: action.strictness)

    def _firing(self, meant: Sequence[Reading]) -> Sequence[Reading]:
        """The readings that it fires on. A pair that may stand anywhere may be spelt in two ways, too: then it is all of them."""
        if self.rule.near and self.rule.within is None:
            both = all(any(terms.places(reading) for reading in meant) for terms in (self.words, self.near))
            return meant if both else ()
        return [reading for reading in meant if self._fires(reading)]

    def _fires(self, reading: Reading) -> bool:
        places = self.words.places(reading)
        if not places or self.rule.within is None:
            return bool(places)
        others = self.near.places(reading)
        return bool(others) and any(_distance(place, others) - 1 <= self.rule.within for place in places)


def _distance(place: int, others: list[int]) -> int:
    """How many words it is to the nearest of the others."""
    after = bisect_right(others, place)
    return min(abs(other - place) for other in others[max(0, after - 1) : after + 1])


def _read(file: Traversable, kind: type[Read]) -> Read:
    try:
        return kind.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise PromptError(f"policy {file.name} cannot be read: {error}") from error
