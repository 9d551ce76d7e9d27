"""What a request may cost, from the catalog's prices, before anything is accepted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from pydantic import Field

from api.model_warnings import ModelWarning
from contracts.frozen import Frozen
from contracts.pictures import Candidate
from contracts.requests import AnyRequest, PlannedPicture, planned_pictures
from providers.catalog import Catalog
from providers.wish import Wish


class Quote(Frozen):
    """USD. `expected_usd`: the preferred models make it; `max_usd`: the dearest ones have to."""

    expected_usd: Decimal = Field(examples=["0.116"])
    max_usd: Decimal = Field(examples=["0.13"])


class Quoter:
    """Prices requests, which also proves that there is a model for every picture."""

    def __init__(self, catalog: Catalog, *, configured: frozenset[str], review_above_usd: Decimal) -> None:
        self._catalog = catalog
        self._configured = configured
        self._review_above_usd = review_above_usd
        self._plans = lru_cache(maxsize=256)(self._ask_catalog)  # few combinations, asked for at every POST

    def quote(self, request: AnyRequest) -> Quote:
        """The price of all pictures.

        Raises UnknownModel, ModelRetired, UnsupportedSize, UnsupportedParameter, TooExpensive, InvalidRequest.
        """
        plans = self._plans(planned_pictures(request), _wish(request))
        return Quote(
            expected_usd=sum((_likely(models[0]) for models in plans), Decimal(0)),
            max_usd=sum((max(model.max_usd for model in models) for models in plans), Decimal(0)),
        )

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


def _wish(request: AnyRequest) -> Wish:
    return Wish.of(request, datetime.now(UTC).date())


def _likely(model: Candidate) -> Decimal:
    return model.max_usd if model.likely_usd is None else model.likely_usd
