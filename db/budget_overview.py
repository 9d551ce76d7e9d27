"""All budgets at a glance: those of the service and of providers one by one, the others counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.budgets import ALERTS_AT, BudgetOf, Period
from db.budget_figures import begins_on
from db.columns import now
from db.money_models import Budget, BudgetPeriod

# Of keys and tenants there may be many: they are counted, and not named.
NAMED = (BudgetOf.system, BudgetOf.provider)


@dataclass(frozen=True, slots=True)
class BudgetUsed:
    """A valid budget and the share of it that is promised or spent in its running period, 1 for all of it."""

    budget: Budget
    share: float


@dataclass(frozen=True, slots=True)
class BudgetsNow:
    """`reached`: of how many valid budgets of a kind so many percent were reached in the running period."""

    named: Sequence[BudgetUsed]
    reached: Mapping[tuple[BudgetOf, int], int]


async def read(session: AsyncSession) -> BudgetsNow:
    """How all valid budgets stand."""
    moment = now()
    runs = (
        and_(col(Budget.period) == period, col(BudgetPeriod.begins_on) == begins_on(period, moment))
        for period in Period
    )
    running = and_(col(BudgetPeriod.budget_id) == col(Budget.id), or_(*runs))
    used = func.coalesce(BudgetPeriod.held_usd + BudgetPeriod.spent_usd, 0)
    valid = col(Budget.removed_at).is_(None)
    named = select(Budget, used).outerjoin(BudgetPeriod, running).where(valid, col(Budget.of).in_(NAMED))
    alerted = select(Budget.of, BudgetPeriod.alerted, func.count()).join(BudgetPeriod, running).where(valid)
    alerted = alerted.group_by(col(Budget.of), col(BudgetPeriod.alerted))
    shares = [BudgetUsed(budget, _share(usd, budget.limit_usd)) for budget, usd in (await session.exec(named)).all()]
    counts = (await session.exec(alerted)).all()
    reached = {
        (of, percent): sum(count for one, highest, count in counts if one is of and highest >= percent)
        for of in BudgetOf
        for percent in ALERTS_AT
    }
    return BudgetsNow(shares, reached)


def _share(used_usd: Decimal, limit_usd: Decimal) -> float:
    """A budget of nothing is used up."""
    return float(used_usd / limit_usd) if limit_usd else 1.0
