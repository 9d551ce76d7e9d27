"""OpenAI's moderation as a second look at prompts: free, and knows far more words than any list."""

import asyncio
from typing import TYPE_CHECKING, Final

from contracts.moderation import Action, Verdict
from errors import ProviderUnreachable

if TYPE_CHECKING:  # the openai package takes half a second to import, and most services do not ask it
    from providers.openai_checks import OpenAIChecks

# A client waits for its answer meanwhile.
WITHIN_S: Final = 5.0
# What no picture is made of. The other categories are told of people at war, bodies and grief as well: they are noted.
BLOCKED: Final = frozenset(
    {
        "sexual/minors",
        "hate/threatening",
        "harassment/threatening",
        "self-harm/intent",
        "self-harm/instructions",
        "illicit/violent",
    }
)


class OpenAIModeration:
    """Asks once more when the connection fails, within `within_s` seconds in all."""

    name: Final = "openai"

    def __init__(self, checks: "OpenAIChecks", *, within_s: float = WITHIN_S) -> None:
        self._checks = checks
        self._within_s = within_s

    async def verdict(self, prompt: str) -> Verdict:
        """What OpenAI's filters say. Raises ProviderError, and nothing else."""
        try:
            async with asyncio.timeout(self._within_s):
                told = await self._checks.moderate(prompt)
        except TimeoutError:
            raise ProviderUnreachable(reason="timeout") from None
        if not told.flagged:
            return Verdict()
        action = Action.block if BLOCKED & set(told.categories) else Action.review
        return Verdict(action, told.categories or ("unspecified",))

    async def close(self) -> None:
        """Give connections back."""
        await self._checks.close()
