"""What a request may cost, from the catalog's prices, before anything is accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from pydantic import Field

from contracts.frozen import Frozen
from contracts.pictures import Candidate
from contracts.requests import AnyRequest, PlannedPicture, Quality, planned_pictures
from providers.catalog import Catalog


class Quote(Frozen):
    """USD. `expected_usd`: the preferred models make it; `max_usd`: the dearest ones have to."""

    expected_usd: Decimal = Field(examples=["0.116"])
    max_usd: Decimal = Field(examples=["0.13"])


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a request wants of every model."""

    quality: Quality
    provider: str | None
    model: str | None
    force: bool
    today: date


class Quoter:
    """Prices requests, which also proves that there is a model for every picture."""

    def __init__(self, catalog: Catalog, *, configured: frozenset[str], review_above_usd: Decimal) -> None:
        self._catalog = catalog
        self._configured = configured
        self._review_above_usd = review_above_usd
        self._candidates = lru_cache(maxsize=256)(self._ask_catalog)  # few combinations, asked for at every POST

    def quote(self, request: AnyRequest) -> Quote:
        """The price of all pictures. Raises UnknownModel, ModelRetired, UnsupportedSize, InvalidRequest."""
        wish = _Wish(request.quality, request.provider, request.model, request.force_model, datetime.now(UTC).date())
        plans = [(planned, self._candidates(planned, wish)) for planned in planned_pictures(request)]
        return Quote(
            expected_usd=sum((self._price(planned, models[0], wish) for planned, models in plans), Decimal(0)),
            max_usd=sum((max(model.max_usd for model in models) for _, models in plans), Decimal(0)),
        )

    def _price(self, planned: PlannedPicture, model: Candidate, wish: _Wish) -> Decimal:
        entry = self._catalog.entry(model.provider, model.model)
        return self._catalog.price(entry, wish.quality, planned.size, planned.references, shape=planned.shape)

    def _ask_catalog(self, planned: PlannedPicture, wish: _Wish) -> Sequence[Candidate]:
        return self._catalog.candidates(
            step=planned.step,
            size=planned.size,
            quality=wish.quality,
            references=planned.references,
            provider=wish.provider,
            model=wish.model,
            force=wish.force,
            configured=self._configured,
            today=wish.today,
            review_above_usd=self._review_above_usd,
        )
