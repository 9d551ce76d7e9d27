"""Other words for a refused prompt: a language model's where one is configured, else those of our rules."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from errors import ProviderError
from prompts.rewriting import NEVER, Rewriter

log = structlog.get_logger(__name__)

# Somebody reads a page meanwhile.
ASK_FOR_S: Final = 5.0
REMEMBERED: Final = 500


class LanguageModel(Protocol):
    """What can be asked for other words."""

    async def rewritten(self, prompt: str, categories: Sequence[str]) -> str | None:
        """The prompt in other words, or None. Raises ProviderError."""


class Suggester:
    """Suggests other words; asks a language model once for each prompt, as pages are read again and again."""

    def __init__(self, rules: Rewriter, model: LanguageModel | None = None) -> None:
        self._rules = rules
        self._model = model
        self._known: OrderedDict[tuple[str, tuple[str, ...]], str | None] = OrderedDict()

    async def suggested(self, prompt: str, categories: Sequence[str], *, longest: int) -> str | None:
        """Other words of at most `longest` characters, never the same as before; None when there are none."""
        if not prompt.strip() or NEVER & set(categories):
            return None
        asked = (prompt, tuple(categories))
        if asked not in self._known:
            self._known[asked] = await self._from_model(prompt, categories, longest)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[asked] or self._by_rules(prompt, categories, longest)

    def _by_rules(self, prompt: str, categories: Sequence[str], longest: int) -> str | None:
        return _usable(self._rules.rewritten(prompt, categories), prompt, longest)

    async def _from_model(self, prompt: str, categories: Sequence[str], longest: int) -> str | None:
        if self._model is None:
            return None
        try:
            async with asyncio.timeout(ASK_FOR_S):
                return _usable(await self._model.rewritten(prompt, categories), prompt, longest)
        except (ProviderError, TimeoutError) as error:
            log.info("suggestion.by_rules", error=type(error).__name__)
            return None


def _usable(suggested: str | None, prompt: str, longest: int) -> str | None:
    if suggested is None or not 0 < len(suggested) <= longest or suggested.casefold() == prompt.strip().casefold():
        return None
    return suggested if all(character.isprintable() or character in "\n\t" for character in suggested) else None
