"""What counts against budgets in the period that runs: read for people, and for who wants to know before they ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.budgets import BudgetOf, Period
from db.columns import now
from db.models import ApiKey
from db.money_models import Budget, BudgetPeriod
from db.refusals import end_of


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in its running period (USD): promised and not yet spent, and spent. `alerted`: the highest share told of."""

    budget: Budget
    held_usd: Decimal
    spent_usd: Decimal
    alerted: int
    resets_at: datetime

    @property
    def left_usd(self) -> Decimal:
        """What may still be promised."""
        return max(Decimal(0), self.budget.limit_usd - self.held_usd - self.spent_usd)


def begins_on(period: Period, moment: datetime) -> date:
    """The first day, by UTC, of the period that a moment lies in."""
    day = moment.date()
    return day if period is Period.day else day.replace(day=1)


async def page(
    session: AsyncSession, tenant_id: UUID | None, *, after: UUID | None, limit: int
) -> Sequence[BudgetState]:
    """The valid budgets that a tenant set (None: all there are), oldest first; `after` is the last id of the page before."""
    here = [col(Budget.tenant_id) == tenant_id] if tenant_id else []
    here += [col(Budget.id) > after] if after else []
    return await _states(session, *here, limit=limit)


async def one(session: AsyncSession, budget_id: UUID) -> BudgetState:
    """A valid budget that is there."""
    (state,) = await _states(session, col(Budget.id) == budget_id, limit=1)
    return state


def line() -> ColumnElement[str]:
    """Under which id the budgets of a key are kept: that of the first of the keys that followed each other by rotation."""
    return func.coalesce(ApiKey.budget_key, ApiKey.id)


async def rooms(session: AsyncSession, *, tenant_id: UUID, key_id: str) -> Sequence[BudgetState]:
    """The hard budgets that a request of this key would count against."""
    of_key = select(line()).where(ApiKey.id == key_id).scalar_subquery()
    owners: dict[BudgetOf, Any] = {BudgetOf.system: "", BudgetOf.tenant: str(tenant_id), BudgetOf.key: of_key}
    counts = or_(*(and_(col(Budget.of) == of, col(Budget.owner) == owner) for of, owner in owners.items()))
    return await _states(session, counts, col(Budget.hard).is_(True), limit=100)


async def room_at(session: AsyncSession, provider: str) -> Decimal | None:
    """What may still be bought at a provider, by its hard budgets (USD); None: it has none."""
    here = [col(Budget.of) == BudgetOf.provider, col(Budget.owner) == provider, col(Budget.hard).is_(True)]
    return min((state.left_usd for state in await _states(session, *here, limit=100)), default=None)


async def _states(session: AsyncSession, *here: ColumnElement[bool], limit: int) -> Sequence[BudgetState]:
    moment = now()
    running = or_(
        *(
            and_(col(Budget.period) == period, col(BudgetPeriod.begins_on) == begins_on(period, moment))
            for period in Period
        )
    )
    same = and_(col(BudgetPeriod.budget_id) == col(Budget.id), running)
    query = (
        select(
            Budget,
            func.coalesce(BudgetPeriod.held_usd, 0),
            func.coalesce(BudgetPeriod.spent_usd, 0),
            func.coalesce(BudgetPeriod.alerted, 0),
        )
        .outerjoin(BudgetPeriod, same)
        .where(col(Budget.removed_at).is_(None), *here)
        .order_by(col(Budget.id))
        .limit(limit)
    )
    return [
        BudgetState(budget, held, spent, alerted, end_of(budget.period, begins_on(budget.period, moment)))
        for budget, held, spent, alerted in (await session.exec(query)).all()
    ]
