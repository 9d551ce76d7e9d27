"""Setting and removing budgets. What counts against them is counted by the database itself (migration 0004)."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, case, cast, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.budgets import ALERTS_AT, BudgetOf, Period
from contracts.statuses import SpendState
from db import budget_figures
from db.budget_figures import BudgetState, begins_on, line
from db.columns import now
from db.models import ApiKey, Generation, Spend, Tenant
from db.money_models import Budget, BudgetPeriod
from db.quotas import first_id
from db.refusals import end_of
from errors import NotFound

# Who makes a budget waits for all who count for the same owner, and they for it (migration 0004).
COUNTING: Final = 5
# Ids are made with their time in them, in the same moment as the row's own time: they find a period's rows without a scan.
ID_SLACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewBudget:
    """`owner`: the id of the key or tenant, the provider's name, or empty for the system. `tenant_id`: who sets it; None: an
    operator.

    A key's budget is kept for the first of the keys that followed each other by rotation, and counts them all.
    """

    of: BudgetOf
    owner: str
    period: Period
    limit_usd: Decimal
    hard: bool
    tenant_id: UUID | None


async def set_(session: AsyncSession, wanted: NewBudget) -> BudgetState:
    """Make a budget valid, in place of the one that its setter had for the same. Raises NotFound: no such key or tenant.

    It counts what is promised and spent already in the running period. All who are about to count for the same owner wait
    until the transaction ends; so it should do little else.
    """
    wanted = await _with_its_owner(session, wanted)
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"{wanted.of}:{wanted.owner}", COUNTING))
    await session.exec(select(lock))
    await _remove_same(session, wanted)
    budget = Budget(
        of=wanted.of,
        owner=wanted.owner,
        tenant_id=wanted.tenant_id,
        period=wanted.period,
        limit_usd=wanted.limit_usd,
        hard=wanted.hard,
    )
    session.add(budget)
    await session.flush()
    await _fill(session, budget)
    return await budget_figures.one(session, budget.id)


async def remove(session: AsyncSession, budget_id: UUID, *, tenant_id: UUID | None) -> Budget:
    """End a budget. Raises NotFound: there is none, it has ended, or it is not the tenant's own (None: an operator asks)."""
    here = [col(Budget.id) == budget_id, col(Budget.removed_at).is_(None)]
    if tenant_id is not None:
        here.append(col(Budget.tenant_id) == tenant_id)
    ended = update(Budget).where(*here).values(removed_at=now()).returning(Budget)
    budget: Budget | None = (await session.exec(ended)).scalars().one_or_none()
    if budget is None:
        raise NotFound("There is no such budget.")
    return budget


async def _with_its_owner(session: AsyncSession, wanted: NewBudget) -> NewBudget:
    """With the owner as the database writes it. A tenant sets budgets of its own keys and of itself, an operator any."""
    if wanted.of is BudgetOf.key:
        query: Any = select(ApiKey.tenant_id, line()).where(ApiKey.id == wanted.owner)
    elif wanted.of is BudgetOf.tenant:
        query = select(Tenant.id, cast(Tenant.id, Text).label("owner")).where(Tenant.id == _uuid(wanted.owner))
    else:
        return wanted
    tenant_id, owner = (await session.exec(query)).first() or (None, "")
    if tenant_id is None or wanted.tenant_id not in {None, tenant_id}:
        raise NotFound(f"There is no such {wanted.of}.")
    return replace(wanted, owner=owner)


def _uuid(words: str) -> UUID:
    try:
        return UUID(words)
    except ValueError:
        raise NotFound("There is no such tenant.") from None


async def _remove_same(session: AsyncSession, wanted: NewBudget) -> None:
    same = {"of": wanted.of, "owner": wanted.owner, "period": wanted.period, "hard": wanted.hard}
    same |= {"tenant_id": wanted.tenant_id}
    valid = col(Budget.removed_at).is_(None)
    here = [getattr(Budget, name).is_not_distinct_from(value) for name, value in same.items()]
    await session.exec(update(Budget).where(valid, *here).values(removed_at=now()))


async def _fill(session: AsyncSession, budget: Budget) -> None:
    """Count what there is of the running period; shares that are reached by then are not told of: who sets it sees them."""
    begins = begins_on(budget.period, now())
    held, spent = await _sums(session, budget, begins)
    reached = [share for share in ALERTS_AT if (held + spent) * 100 >= budget.limit_usd * share]
    session.add(
        BudgetPeriod(
            budget_id=budget.id,
            begins_on=begins,
            held_usd=held,
            spent_usd=spent,
            alerted=max(reached, default=0),
        )
    )
    await session.flush()


async def _sums(session: AsyncSession, budget: Budget, begins: date) -> tuple[Decimal, Decimal]:
    since, until = datetime.combine(begins, time(), UTC), end_of(budget.period, begins)
    table: type[Generation] | type[Spend] = Spend if budget.of is BudgetOf.provider else Generation
    ended = col(Spend.state).in_((SpendState.settled, SpendState.released))
    held: Any = col(Generation.hold_usd)
    spent: Any = col(Generation.cost_usd)
    if budget.of is BudgetOf.system:
        spent = spent - Generation.own_keys_usd
    if table is Spend:
        held = case((ended, 0), else_=Spend.hold_usd)
        spent = case((col(Spend.state) == SpendState.settled, Spend.cost_usd), else_=0)
    query: Any = select(func.coalesce(func.sum(held), 0), func.coalesce(func.sum(spent), 0)).where(
        col(table.created_at) >= since,
        col(table.created_at) < until,
        col(table.id) >= first_id(since - ID_SLACK),
        *_of_owner(budget),
    )
    row = (await session.exec(query)).one()
    return Decimal(row[0]), Decimal(row[1])


def _of_owner(budget: Budget) -> list[Any]:
    match budget.of:
        case BudgetOf.system:
            return []
        case BudgetOf.tenant:
            return [col(Generation.tenant_id) == UUID(budget.owner)]
        case BudgetOf.key:
            # By the tenant, too: that has an index, and who counts for the key waits meanwhile.
            tenant_id = select(ApiKey.tenant_id).where(ApiKey.id == budget.owner).scalar_subquery()
            its_line = select(ApiKey.id).where(ApiKey.tenant_id == tenant_id, line() == budget.owner)
            return [col(Generation.tenant_id) == tenant_id, col(Generation.key_id).in_(its_line)]
        case BudgetOf.provider:
            return [col(Spend.provider) == budget.owner, ~col(Spend.own_key)]
