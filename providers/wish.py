"""What a request wants of whoever makes its pictures."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Self

from contracts.requests import Quality, RequestOptions
from contracts.wishes import Strategy


@dataclass(frozen=True, slots=True)
class Wish:
    """Who may make the pictures, how good they shall be, and what all of them may cost (USD).

    `force`: a model whose shutdown date has passed is taken all the same; `today` decides whether it has.
    """

    quality: Quality
    today: date
    provider: str | None = None
    model: str | None = None
    force: bool = False
    strategy: Strategy | None = None
    providers: tuple[str, ...] = ()
    max_cost_usd: Decimal | None = None

    @classmethod
    def of(cls, request: RequestOptions, today: date) -> Self:
        """The wish in a request."""
        return cls(
            quality=request.quality,
            today=today,
            provider=request.provider,
            model=request.model,
            force=request.force_model,
            strategy=request.strategy,
            providers=request.providers,
            max_cost_usd=request.max_cost_usd,
        )

    def allows(self, provider: str) -> bool:
        """True when this provider may make the pictures."""
        return self.provider in {None, provider} and (not self.providers or provider in self.providers)

    @property
    def takes_any_model(self) -> bool:
        """True when a model need not be a recommended one."""
        return self.model is not None or self.strategy is not None
