"""How much of a budget is used is told at its shares, once each."""

import asyncio

from sqlmodel import select

from contracts.budgets import BudgetOf
from db.money_models import BudgetAlert
from tests.integration.conftest import Tables
from tests.integration.money_rows import a_budget, a_generation, accept, ask


async def test_shares_of_a_budget_are_told_once_each(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00", hard=False)

    await asyncio.gather(*(accept(tables.database, a_generation(tables.tenant_id, "0.10")) for _ in range(12)))

    async with tables.database.transaction() as session:
        told = (await session.exec(select(BudgetAlert.percent).where(BudgetAlert.budget_id == budget))).all()
    assert sorted(told) == [50, 80, 100]


async def test_that_a_hard_budget_is_full_is_told_although_no_request_fits_it_to_the_end(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    accepted = await asyncio.gather(
        *(accept(tables.database, a_generation(tables.tenant_id, "0.30")) for _ in range(4))
    )

    told = await ask(tables.database, "select percent from budget_alert where budget_id = :id", id=budget)
    assert (sum(accepted), sorted(row.percent for row in told)) == (3, [50, 80, 100])


async def test_one_request_that_is_too_dear_does_not_make_a_budget_full(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    accepted = [await accept(tables.database, a_generation(tables.tenant_id, usd)) for usd in ("0.60", "0.60")]

    told = await ask(tables.database, "select percent from budget_alert where budget_id = :id", id=budget)
    assert (accepted, [row.percent for row in told]) == ([True, False], [50])
