"""Alerts of budgets: written by the database when a share is reached (migration 0004), told once each, and listed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, tuple_
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import deliveries
from db.columns import now
from db.delivering import AlertedBudget
from db.models import ApiKey
from db.money_models import Budget, BudgetAlert
from errors import NotFound


async def untold(session: AsyncSession) -> bool:
    """Whether there is anything to tell."""
    waiting = exists().where(col(BudgetAlert.told_at).is_(None))
    return (await session.exec(select(waiting))).one()


async def tell(session: AsyncSession, *, limit: int) -> Sequence[AlertedBudget]:
    """Make the deliveries of the oldest alerts that have none yet, at most of `limit`; returns these alerts.

    The mark on the alert is written in the transaction that makes its deliveries, and whoever else tells passes by what is
    locked: so each is told once, whichever process dies.
    """
    query = select(BudgetAlert, Budget).join(Budget, col(Budget.id) == col(BudgetAlert.budget_id))
    query = query.where(col(BudgetAlert.told_at).is_(None)).order_by(col(BudgetAlert.created_at)).limit(limit)
    found = (await session.exec(query.with_for_update(of=BudgetAlert, skip_locked=True))).all()
    for alert, _ in found:
        tenants = [alert.tenant_id] if alert.tenant_id else await _of_operators(session)
        await deliveries.announce_alert(session, alert.id, tenants)
        alert.told_at = now()
        session.add(alert)
    return [AlertedBudget(alert, budget) for alert, budget in found]


async def _of_operators(session: AsyncSession) -> Sequence[UUID]:
    """The tenants whose keys decide for the service."""
    valid = [col(ApiKey.revoked_at).is_(None), or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now())]
    query = select(ApiKey.tenant_id).where(col(ApiKey.operator).is_(True), *valid).distinct()
    return (await session.exec(query)).all()


async def page(
    session: AsyncSession, budget_id: UUID, *, tenant_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[BudgetAlert]:
    """A budget's alerts, newest first, at most `limit`; `before` is the last id of the page before.

    Raises NotFound: there is no such budget, or it is not the tenant's own (None: an operator asks). A removed one is there.
    """
    budget = await session.get(Budget, budget_id)
    if budget is None or (tenant_id is not None and budget.tenant_id != tenant_id):
        raise NotFound("There is no such budget.")
    place = (col(BudgetAlert.begins_on), col(BudgetAlert.percent))
    query = select(BudgetAlert).where(BudgetAlert.budget_id == budget_id)
    if before is not None:
        last = select(*place).where(BudgetAlert.budget_id == budget_id, BudgetAlert.id == before)
        query = query.where(tuple_(*place) < last.scalar_subquery())
    return (await session.exec(query.order_by(*(column.desc() for column in place)).limit(limit))).all()
