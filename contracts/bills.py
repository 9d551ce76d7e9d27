"""A provider's bill beside our ledger."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import Field

from contracts.frozen import Frozen

CENT: Final = Decimal("0.01")
# Of the larger amount.
SHARE: Final = Decimal("0.01")


class BillVerdict(StrEnum):
    """What is wrong with a purchase that bill and ledger do not have alike."""

    only_theirs = "only_theirs"  # charged, and not in our ledger
    only_ours = "only_ours"  # paid by our ledger, and not on the bill
    amount_differs = "amount_differs"  # by more than a cent, or more than 1 %
    not_settled = "not_settled"  # charged, and our ledger does not know yet what it costs


@dataclass(frozen=True, slots=True)
class BillLine:
    """A job on a provider's bill. `token`: what we call the purchase by, where the provider repeats it.

    `created_at`: when it was made; with `whole_day` the begin of the day, for the bill says no more. `cost_usd`: None where the bill does not say; `rounded_usd`: how far that may be off because the bill rounds.
    """

    job_id: str
    token: str | None
    model: str | None
    created_at: datetime | None
    cost_usd: Decimal | None
    rounded_usd: Decimal
    whole_day: bool = False


@dataclass(frozen=True, slots=True)
class OurPurchase:
    """A purchase of our ledger; `cost_usd` is None until it has ended."""

    spend_id: UUID
    generation_id: UUID
    tenant_id: UUID
    model: str
    token: str
    job_id: str | None
    state: str
    cost_usd: Decimal | None
    billed: str | None
    bought_at: datetime


class BillItem(Frozen):
    """A purchase that bill and ledger do not have alike (USD)."""

    verdict: BillVerdict
    job_id: str | None
    model: str | None
    at: datetime | None = Field(description="By the bill, or else by our ledger.")
    theirs_usd: Decimal | None
    ours_usd: Decimal | None
    difference_usd: Decimal = Field(description="Theirs without ours.")
    spend_id: UUID | None
    generation_id: UUID | None
    tenant_id: UUID | None
    state: str | None = Field(description="Of our purchase.")
    billed: str | None = Field(description="Whether the provider charges it, as far as our ledger knows.")


class BillReport(Frozen):
    """A provider's bill beside our ledger (USD). Both totals are of the period; what the bill says without a time counts."""

    provider: str
    since: datetime = Field(description="Begin of the period: what is only in our ledger counts from then on.")
    until: datetime
    lines: int = Field(description="Jobs on the bill.")
    matched: int = Field(description="Jobs that our ledger has, too, at the same cost or another.")
    without_cost: int = Field(description="Matched jobs of which the bill does not say the cost.")
    counts: dict[BillVerdict, int]
    theirs_usd: Decimal
    ours_usd: Decimal
    difference_usd: Decimal = Field(description="Theirs without ours.")
    only_theirs_usd: Decimal
    only_ours_usd: Decimal
    items: tuple[BillItem, ...]
    truncated: bool = Field(description="There are more items: ask for CSV.")
