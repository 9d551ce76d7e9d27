"""Rows that move money, and what budgets count of them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select, update

from contracts.budgets import BudgetOf, Period
from contracts.statuses import Kind, Status, Step
from db import generations, keys
from db.columns import now
from db.engine import Database
from db.models import Generation, Spend
from db.money_models import Budget, BudgetPeriod
from errors import BudgetExhausted


def a_generation(tenant_id: UUID, usd: str, key_id: str | None = None) -> Generation:
    return Generation(
        tenant_id=tenant_id,
        kind=Kind.avatar,
        request={},
        request_hash="",
        key_id=key_id,
        quote_max_usd=Decimal(usd),
        hold_usd=Decimal(usd),
    )


def a_purchase(generation: Generation, usd: str, *, provider: str = "replicate", purchase: int = 1) -> Spend:
    return Spend(
        tenant_id=generation.tenant_id,
        generation_id=generation.id,
        step=Step.avatar,
        purchase=purchase,
        provider=provider,
        model="model",
        token=f"{generation.id}-{purchase}",
        prompt="",
        prompt_name="",
        prompt_version="",
        prompt_hash="",
        hold_usd=Decimal(usd),
        lease_until=now(),
        deadline_at=now() + timedelta(minutes=5),
    )


async def a_budget(database: Database, of: BudgetOf, owner: str, usd: str, *, hard: bool = True) -> UUID:
    async with database.transaction() as session:
        budget = Budget(of=of, owner=owner, period=Period.day, limit_usd=Decimal(usd), hard=hard)
        session.add(budget)
    return budget.id


async def ask(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.transaction() as session:
        result = await (await session.connection()).execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def counted(database: Database, budget_id: UUID) -> tuple[Decimal, Decimal]:
    async with database.transaction() as session:
        row = (await session.exec(select(BudgetPeriod).where(BudgetPeriod.budget_id == budget_id))).one()
    return row.held_usd, row.spent_usd


async def accept(database: Database, generation: Generation) -> bool:
    try:
        async with database.transaction() as session:
            return await generations.accept(session, generation)
    except BudgetExhausted:
        return False


async def end(database: Database, generation: Generation, usd: str) -> None:
    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal(usd), "finished_at": now(), "status": Status.failed}
    async with database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == generation.id).values(ended))


async def a_tenant(database: Database) -> UUID:
    key = keys.new_key()
    async with database.transaction() as session:
        return await keys.ensure_key(session, key, pepper="pepper", tenant_name=key)
