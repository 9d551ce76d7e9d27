"""What a picture will most likely cost: who is asked for it first, and how many words that one is paid to read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from contracts.pictures import Candidate
from contracts.requests import AnyRequest, AvatarRequest, EnhanceRequest, ImageRequest, SceneRequest
from contracts.standing import Standings
from contracts.statuses import Step
from prompts.library import PromptLibrary
from providers.catalog import Catalog
from providers.choosing import Circumstances, in_order

# Of English, as OpenAI tells it.
LETTERS_A_TOKEN: Final = 4
# Equals are drawn by the generation, which there is none yet.
NOBODY: Final = UUID(int=0)


class ExpectedPrices:
    """Prices (USD) as they are to be expected when all providers stand well."""

    def __init__(self, catalog: Catalog, prompts: PromptLibrary) -> None:
        self._catalog = catalog
        self._prompts = prompts

    def preferred(self, request: AnyRequest, models: Sequence[Candidate]) -> Candidate:
        """Who of those that can make a picture is asked first, by the request's strategy."""
        if request.strategy is None:
            return models[0]
        options = {self._catalog.option(position, model): model for position, model in enumerate(models)}
        given = Circumstances(
            generation_id=NOBODY, deadline_s=request.deadline_s, at=datetime.now(UTC), strategy=request.strategy
        )
        return options[in_order(tuple(options), Standings(), given)[0]]

    def of(self, request: AnyRequest, step: Step, model: Candidate) -> Decimal:
        """What this model's picture is expected to cost."""
        price = model.max_usd if model.likely_usd is None else model.likely_usd
        rates = self._catalog.entry(model.provider, model.model).token_rates
        if rates is None:
            return price
        return price + rates.text_in * (self._letters(request, step) // LETTERS_A_TOKEN) / 1_000_000

    def _letters(self, request: AnyRequest, step: Step) -> int:
        """How long the picture's prompt is. Raises UnknownTheme."""
        if isinstance(request, ImageRequest):
            return len(request.prompt)
        if isinstance(request, EnhanceRequest):
            return 0
        if isinstance(request, AvatarRequest) or (not isinstance(request, SceneRequest) and step is Step.avatar):
            return len(self._prompts.avatar_prompt(request.avatar).text)
        return len(self._prompts.scene_prompt(request.scene, self._prompts.themes.get(request.scene.theme)).text)
