"""What a request may cost, from the catalog's prices, before anything is accepted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Final

from api.expected_prices import ExpectedPrices
from api.model_warnings import ModelWarning
from contracts.pictures import Candidate
from contracts.quotes import Quote, QuotedPicture
from contracts.requests import AnyRequest, PlannedPicture, planned_pictures
from contracts.statuses import Step
from prompts.library import PromptLibrary
from providers.catalog import MILLIONTH, Catalog
from providers.wish import Wish

# A purchase that failed may have been charged. One more per picture has room in what is promised; a third has not.
PURCHASES: Final = 2


class Quoter:
    """Prices requests, which also proves that there is a model for every picture."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        configured: frozenset[str],
        review_above_usd: Decimal,
        prompts: PromptLibrary | None = None,
    ) -> None:
        self._catalog = catalog
        self._expected = ExpectedPrices(catalog, prompts or PromptLibrary.load())
        self._configured = configured
        self._review_above_usd = review_above_usd
        # Few combinations, asked for at every POST.
        self._plans = lru_cache(maxsize=256)(self._ask_catalog)
        self._bounds = lru_cache(maxsize=256)(self._reckon_bounds)

    def quote(self, request: AnyRequest) -> Quote:
        """The price of all pictures.

        Raises UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, UnsupportedParameter, TooExpensive, InvalidRequest.
        """
        least, most = self._bounds(planned_pictures(request), _wish(request))
        expected = sum((one.expected_usd for one in self.pictures(request)), Decimal(0))
        return Quote(min_usd=least, expected_usd=expected, max_usd=most)

    def pictures(self, request: AnyRequest) -> tuple[QuotedPicture, ...]:
        """What each picture may cost. Raises what `quote` raises."""
        planned = zip(planned_pictures(request), self.plans(request), strict=True)
        return tuple(self._quoted(request, picture.step, models) for picture, models in planned)

    def plans(self, request: AnyRequest) -> Sequence[Sequence[Candidate]]:
        """For each picture the models that can make it, best first. Raises what `quote` raises."""
        return self._plans(planned_pictures(request), _wish(request))

    def warnings(self, request: AnyRequest) -> tuple[ModelWarning, ...]:
        """The preferred models of the pictures that will be shut down soon. Raises what `quote` raises."""
        wish = _wish(request)
        preferred = {(models[0].provider, models[0].model) for models in self._plans(planned_pictures(request), wish)}
        entries = [self._catalog.entry(provider, model) for provider, model in sorted(preferred)]
        return tuple(ModelWarning.of(entry) for entry in entries if entry.ends_soon(wish.today))

    def _ask_catalog(self, pictures: Sequence[PlannedPicture], wish: Wish) -> Sequence[Sequence[Candidate]]:
        return self._catalog.plan(pictures, wish, configured=self._configured, review_above_usd=self._review_above_usd)

    def _quoted(self, request: AnyRequest, step: Step, models: Sequence[Candidate]) -> QuotedPicture:
        preferred = self._expected.preferred(request, models)
        return QuotedPicture(
            step=step,
            provider=preferred.provider,
            model=preferred.model,
            expected_usd=self._expected.of(request, step, preferred),
            max_usd=_most(models),
        )

    def _reckon_bounds(self, pictures: Sequence[PlannedPicture], wish: Wish) -> tuple[Decimal, Decimal]:
        """The least and the most that all pictures cost."""
        plans = self._plans(pictures, wish)
        cheapest = [
            min(self._catalog.least_price(model, planned, wish.quality) for model in models)
            for planned, models in zip(pictures, plans, strict=True)
        ]
        least = sum(cheapest, Decimal(0)).quantize(MILLIONTH, ROUND_FLOOR)
        most = sum((_most(models) for models in plans), Decimal(0))
        return least, most if wish.max_cost_usd is None else min(most, wish.max_cost_usd)


def _wish(request: AnyRequest) -> Wish:
    return Wish.of(request, datetime.now(UTC).date())


def _most(models: Sequence[Candidate]) -> Decimal:
    return PURCHASES * max(model.max_usd for model in models)
