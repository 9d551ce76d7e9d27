"""Looking at prompts before anything is accepted or bought: our own rules, and a further moderator where one is configured."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from api.prompt_places import PromptPlace, negative_prompt, prompt_places
from api.suggesting import Suggester
from contracts.moderation import Action, Verdict
from contracts.requests import AnyRequest
from contracts.tiers import PolicyLevel
from errors import ModerationUnavailable, PromptRefused, ProviderError
from prompts.policy_rules import PolicyRules

log = structlog.get_logger(__name__)

# Refused to every tenant, whatever was agreed with it.
NOBODY: Final = frozenset({"sexual/minors"})
# The rules' time grows with the length: other requests are not to wait for the longest ones (32,000 characters).
LONGEST_AT_ONCE: Final = 2000


class PromptModerator(Protocol):
    """Somebody who looks at prompts, beside our own rules."""

    @property
    def name(self) -> str:
        """Who it is, for the log and for events."""

    async def verdict(self, prompt: str) -> Verdict:
        """What it says. Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be noted on a generation that is accepted. Never the prompt."""

    categories: tuple[str, ...] = ()
    not_asked: str | None = None

    def events(self) -> list[tuple[str, Mapping[str, Any]]]:
        """As events of the generation: type and data."""
        told: list[tuple[str, Mapping[str, Any]]] = []
        if self.categories:
            told.append(("prompt.flagged", {"categories": list(self.categories)}))
        if self.not_asked is not None:
            told.append(("prompt.not_moderated", {"moderator": self.not_asked}))
        return told


NOTHING_TO_NOTE: Final = Remark()


class PromptGuard:
    """Decides by the tenant's policy what becomes of a verdict.

    `strict` refuses what is doubtful, and what nobody could look at; `usual` refuses what is forbidden and notes the rest;
    `open` refuses only what is refused to everybody, and asks nobody outside.
    """

    def __init__(self, rules: PolicyRules, suggester: Suggester, further: PromptModerator | None = None) -> None:
        self._rules = rules
        self._suggester = suggester
        self._further = further

    def asks_others(self, level: PolicyLevel) -> bool:
        """Whether somebody outside may be asked about a request of a tenant with this policy: that takes time, and counts."""
        return self._further is not None and level is not PolicyLevel.open

    async def look(self, request: AnyRequest, level: PolicyLevel) -> Remark:
        """What is to be noted about the request's words. Raises PromptRefused, ModerationUnavailable."""
        places = prompt_places(request)
        if not places:
            return NOTHING_TO_NOTE
        # What is not wanted is not held against a picture, unless it says what the picture is to be.
        meant = self._rules.meaning_of(negative_prompt(request))
        text = "\n".join([*(place.text for place in places), *([meant] if meant else ())])
        verdict = await self._by_rules(text)
        if level is PolicyLevel.open:
            if NOBODY & set(verdict.categories):
                raise await self._refusal(places, Verdict(Action.block, (*sorted(NOBODY),)), level)
            return NOTHING_TO_NOTE
        not_asked = None
        if self._further is not None and verdict.action is not Action.block:
            verdict, not_asked = await self._asked(self._further, text, verdict, level)
        if _is_refused(verdict, level):
            raise await self._refusal(places, verdict, level)
        return Remark(verdict.categories, not_asked)

    async def _by_rules(self, text: str) -> Verdict:
        if len(text) <= LONGEST_AT_ONCE:
            return self._rules.verdict(text)
        return await asyncio.to_thread(self._rules.verdict, text)

    async def _asked(
        self, further: PromptModerator, text: str, verdict: Verdict, level: PolicyLevel
    ) -> tuple[Verdict, str | None]:
        """With what the further moderator says, or its name when it says nothing and may be gone without."""
        try:
            return verdict.and_(await further.verdict(text)), None
        except ProviderError as error:
            log.warning("moderation.unavailable", moderator=further.name, error=error.code, policy=level.value)
            if level is PolicyLevel.strict:
                raise ModerationUnavailable from error
            return verdict, further.name

    async def _refusal(self, places: tuple[PromptPlace, ...], verdict: Verdict, level: PolicyLevel) -> PromptRefused:
        log.info("prompt.refused", categories=verdict.categories, policy=level.value)
        named = ", ".join(verdict.categories)
        facts = {"category": named, "stage": "input"} | await self._other_words(places, verdict, level)
        return PromptRefused(f"The words of this request are about: {named}.", **facts)

    async def _other_words(
        self, places: tuple[PromptPlace, ...], verdict: Verdict, level: PolicyLevel
    ) -> dict[str, str]:
        """Other words for the first field that needs them, if with them the request would not be refused by our rules."""
        for place in places:
            suggested = await self._suggester.suggested(place.text, verdict.categories, longest=place.longest)
            if suggested is None:
                continue
            softer = "\n".join(suggested if other is place else other.text for other in places)
            if not _is_refused(await self._by_rules(softer), level):
                return {"suggested_prompt": suggested, "suggested_field": place.pointer}
        return {}


def _is_refused(verdict: Verdict, level: PolicyLevel) -> bool:
    refused = Action.review if level is PolicyLevel.strict else Action.block
    return verdict.action.strictness >= refused.strictness
