"""What the database refuses for a reason of ours: budgets that are used up (migration 0004), in our words."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.exc import DBAPIError

from contracts.budgets import BudgetOf, Period
from errors import BudgetExhausted, DioramaError, PromiseExhausted, ProviderBudgetExhausted

BUDGET: Final = "DB001"
PROMISE: Final = "DB002"


def refusal_in(error: DBAPIError) -> DioramaError | None:
    """Our error for what a trigger of ours raised; None: it was something else."""
    code = getattr(error.orig, "sqlstate", None)
    if code not in {BUDGET, PROMISE}:
        return None
    facts: dict[str, Any] = json.loads(_detail(error), parse_float=Decimal)
    if code == PROMISE:
        money = _money(facts)
        told = f"One more purchase may cost {money['wanted_usd']} USD, and {money['left_usd']} USD are left of {money['max_usd']}."
        return PromiseExhausted(told, **money)
    if facts["about"] == "spend":
        return ProviderBudgetExhausted()
    return _budget_exhausted(facts)


def _detail(error: DBAPIError) -> str:
    """The driver's own exception, which SQLAlchemy's wrapper keeps, has the words behind `detail`."""
    return str(getattr(getattr(error.orig, "__cause__", None), "detail", None) or "{}")


def _budget_exhausted(facts: dict[str, Any]) -> BudgetExhausted:
    of, period = BudgetOf(facts["of"]), Period(facts["period"])
    resets_at = end_of(period, date.fromisoformat(facts["begins_on"]))
    money = _money(facts)
    if of is BudgetOf.system:  # what the whole service may spend is nobody's business but the operator's
        return BudgetExhausted(
            f"The service may spend nothing more this {period}.",
            of=of.value,
            period=period.value,
            resets_at=_said(resets_at),
        )
    return BudgetExhausted(
        f"The request may cost {money['wanted_usd']} USD, and {money['left_usd']} USD of the {of}'s budget of "
        f"{money['limit_usd']} USD for this {period} are left.",
        of=of.value,
        period=period.value,
        budget_id=str(facts["budget_id"]),
        resets_at=_said(resets_at),
        **money,
    )


def _money(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in facts.items() if name.endswith("_usd")}


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def end_of(period: Period, begins_on: date) -> datetime:
    """When a period is over and its budget is whole again."""
    if period is Period.day:
        after = begins_on + timedelta(days=1)
    else:
        after = (begins_on.replace(day=1) + timedelta(days=32)).replace(day=1)
    return datetime(after.year, after.month, after.day, tzinfo=UTC)
