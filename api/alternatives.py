"""Who else could make a request's pictures: for people whose first choice did not work."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import Field

from api.quotes import Quoter
from contracts.frozen import Frozen
from contracts.pictures import Candidate
from contracts.requests import AnyRequest
from contracts.wishes import Adjustment
from errors import InvalidRequest

MOST: Final = 5
_ANYBODY: Final = {"provider": None, "model": None, "providers": (), "strategy": "balanced"}


class Alternative(Frozen):
    """A model that could make all pictures of the request; what that is expected to cost (USD), and what would differ."""

    provider: str = Field(examples=["openai"])
    model: str
    expected_usd: Decimal
    adjustments: tuple[Adjustment, ...] = ()


def alternatives(
    request: AnyRequest, quoter: Quoter, *, but: Collection[tuple[str, str]] = (), not_at: Collection[str] = ()
) -> tuple[Alternative, ...]:
    """At most five, best first, without those in `but` and all of the providers `not_at`; none when nobody could."""
    try:
        plans = quoter.plans(request.model_copy(update=_ANYBODY))
    except InvalidRequest:
        return ()
    by_picture = [{(one.provider, one.model): one for one in candidates} for candidates in plans]
    if not by_picture:
        return ()
    left = [key for key in by_picture[0] if key not in but and key[0] not in not_at]
    shared = [key for key in left if all(key in makers for makers in by_picture)]
    return tuple(_alternative([makers[key] for makers in by_picture]) for key in shared[:MOST])


def explain(error: InvalidRequest, request: AnyRequest, quoter: Quoter) -> None:
    """Add to a refusal who could make the request, where the client had named somebody, and where all models are listed."""
    error.facts["links"] = {"models": "/v1/models"}
    if any(getattr(request, name) != value for name, value in _ANYBODY.items() if name != "strategy"):
        found: list[dict[str, Any]] = [one.model_dump(mode="json") for one in alternatives(request, quoter)]
        error.facts["alternatives"] = found


def _alternative(makers: Sequence[Candidate]) -> Alternative:
    prices = [maker.max_usd if maker.likely_usd is None else maker.likely_usd for maker in makers]
    told = dict.fromkeys(adjustment for maker in makers for adjustment in maker.adjustments)
    return Alternative(
        provider=makers[0].provider, model=makers[0].model, expected_usd=sum(prices, Decimal(0)), adjustments=(*told,)
    )
