"""The tables of money beside the ledger: budgets, what counts against them, and quotes.

docs/adr/0017-money-is-held-where-it-is-promised.md says why they are as they are.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field
from uuid_utils.compat import uuid7

from contracts.budgets import BudgetOf, Period
from db.columns import Table, now, usd, usd_sum, word


class Budget(Table, table=True):
    """A limit. `owner`: the id of the key (the first, of those that followed each other by rotation) or tenant, the provider's
    name, or empty for the whole system.

    A hard one refuses what does not fit; a soft one only tells. Its figures never change: a new limit is a new row, so that
    what was decided stays on record.
    """

    __table_args__ = (
        Index(
            "uq_budget_valid",
            "of",
            "owner",
            "period",
            "hard",
            text("(tenant_id is null)"),  # a tenant's own, beside an operator's for the same
            unique=True,
            postgresql_where="removed_at is null",
        ),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    of: BudgetOf = Field(sa_column=word(BudgetOf, "of"))
    owner: str = Field(default="", max_length=50)
    # Whose it is to see and change; empty: only operators.
    tenant_id: UUID | None = Field(default=None, foreign_key="tenant.id", index=True)
    period: Period = Field(sa_column=word(Period, "period"))
    limit_usd: Decimal = Field(sa_column=usd())
    hard: bool = True
    created_at: datetime = Field(default_factory=now)
    removed_at: datetime | None = None


class BudgetPeriod(Table, table=True):
    """What counts against a budget in one of its periods: promised and not yet spent, and spent (USD).

    Kept by the database itself (migration 0004): no path of the code can move money past it.
    """

    __tablename__ = "budget_period"

    budget_id: UUID = Field(primary_key=True, foreign_key="budget.id")
    begins_on: date = Field(primary_key=True)
    held_usd: Decimal = Field(default=Decimal(0), sa_column=usd_sum())
    spent_usd: Decimal = Field(default=Decimal(0), sa_column=usd_sum())
    # The highest share (percent) that was told of.
    alerted: int = 0


class BudgetAlert(Table, table=True):
    """A share of a budget that was reached: written once, in the transaction that reached it."""

    __tablename__ = "budget_alert"
    __table_args__ = (
        Index("uq_budget_alert_id", "id", unique=True),
        Index("ix_budget_alert_untold", "created_at", postgresql_where="told_at is null"),
    )

    budget_id: UUID = Field(primary_key=True, foreign_key="budget.id")
    begins_on: date = Field(primary_key=True)
    percent: int = Field(primary_key=True)
    # What its deliveries call it.
    id: UUID = Field(default_factory=uuid4)
    # Whom it concerns; empty: operators only.
    tenant_id: UUID | None = Field(default=None, index=True)
    used_usd: Decimal = Field(sa_column=usd_sum())
    created_at: datetime = Field(default_factory=now)
    # When its deliveries were made.
    told_at: datetime | None = None


class QuoteOffer(Table, table=True):
    """A price that was promised: whoever sends the same request with its id before it expires pays no more than `max_usd`."""

    __tablename__ = "quote"
    __table_args__ = (Index("ix_quote_expires", "expires_at"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    request_hash: str = Field(max_length=64)
    min_usd: Decimal = Field(sa_column=usd())
    expected_usd: Decimal = Field(sa_column=usd())
    max_usd: Decimal = Field(sa_column=usd())
    details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)
    expires_at: datetime
    # The generation that was accepted at this price.
    generation_id: UUID | None = None
