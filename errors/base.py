"""The base of the tree: what every error has."""

from decimal import Decimal
from typing import Any, ClassVar, Literal

Billed = Literal["yes", "no", "unknown"]


class DioramaError(Exception):
    """Base of the tree; `facts` are safe to show to a client (no vendor text, no URL, no key)."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    retryable: ClassVar[bool] = False
    billed: Billed = "no"
    cost_usd: Decimal | None = None  # what the provider said that this very failure costs, if it did
    suggestion: ClassVar[str] = "Try again later; if it stays, tell the operator the generation's id."
    rebuy: ClassVar[bool] = False
    failover: ClassVar[bool] = False

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts = facts
