"""Money counts in the period in which its request was accepted."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from contracts.budgets import BudgetOf, Period
from db import budgets
from db.budgets import NewBudget
from db.columns import now
from db.engine import Database
from db.money_models import Budget
from tests.integration.conftest import Tables
from tests.integration.money_rows import a_generation, accept, ask, end

LAST_NIGHT = datetime.combine(now().date(), time(), UTC) - timedelta(milliseconds=100)


async def _periods(database: Database, budget_id: UUID) -> list[Any]:
    query = "select begins_on, held_usd, spent_usd from budget_period where budget_id = :id order by begins_on"
    return [tuple(row) for row in await ask(database, query, id=budget_id)]


@pytest.mark.parametrize("period", Period)
async def test_what_was_accepted_before_midnight_counts_on_that_day_when_it_ends_on_the_next(
    tables: Tables, period: Period
) -> None:
    async with tables.database.transaction() as session:
        owner = str(tables.tenant_id)
        budget = Budget(of=BudgetOf.tenant, owner=owner, period=period, limit_usd=Decimal(1))
        session.add(budget)
    generation = a_generation(tables.tenant_id, "0.40")
    generation.created_at = LAST_NIGHT
    begins = LAST_NIGHT.date().replace(day=1) if period is Period.month else LAST_NIGHT.date()

    await accept(tables.database, generation)
    accepted = await _periods(tables.database, budget.id)
    await end(tables.database, generation, "0.15")

    assert accepted == [(begins, Decimal("0.40"), Decimal(0))]
    assert await _periods(tables.database, budget.id) == [(begins, Decimal(0), Decimal("0.15"))]


async def test_a_budget_does_not_count_what_ends_in_its_period_and_was_accepted_before_it(tables: Tables) -> None:
    generation = a_generation(tables.tenant_id, "0.40")
    generation.created_at = LAST_NIGHT
    await accept(tables.database, generation)
    wanted = NewBudget(BudgetOf.tenant, str(tables.tenant_id), Period.day, Decimal(1), hard=True, tenant_id=None)
    async with tables.database.transaction() as session:
        budget = (await budgets.set_(session, wanted)).budget
    before = await _periods(tables.database, budget.id)

    await end(tables.database, generation, "0.15")

    assert [(held, spent) for _, held, spent in before] == [(Decimal(0), Decimal(0))]
    assert await _periods(tables.database, budget.id) == before
