"""Many ask at once: budgets let through exactly what fits, and nobody waits for what does not count him."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from contracts.budgets import BudgetOf, Period
from db import budgets, generations
from db.budgets import NewBudget
from db.engine import Database
from tests.integration.api.running_api import eventually
from tests.integration.conftest import Tables
from tests.integration.money_rows import a_budget, a_generation, a_tenant, accept, ask, counted


class _TheEnd(Exception):
    """Nothing of it is to stay."""


async def _somebody_waits(database: Database, kind: str) -> None:
    """Until a transaction waits for a lock of this kind."""
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and wait_event = :kind"
    await eventually(lambda: ask(database, query, kind=kind))


@asynccontextmanager
async def _for_the_system(database: Database) -> AsyncIterator[UUID]:
    """A budget of the whole system that refuses nobody, ended with the block: it is everybody's."""
    budget = await a_budget(database, BudgetOf.system, "", "100000", hard=False)
    try:
        yield budget
    finally:
        await ask(database, "update budget set removed_at = now() where id = :id", id=budget)


async def test_of_many_that_ask_at_once_exactly_those_are_accepted_that_fit(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    asked = [accept(tables.database, a_generation(tables.tenant_id, "0.10")) for _ in range(40)]
    accepted = await asyncio.gather(*asked)

    assert sum(accepted) == 10
    assert await counted(tables.database, budget) == (Decimal("1.00"), Decimal(0))


async def test_who_sets_a_budget_lets_those_wait_whom_it_counts_and_nobody_else(tables: Tables) -> None:
    wanted = NewBudget(BudgetOf.tenant, str(tables.tenant_id), Period.day, Decimal(1), hard=True, tenant_id=None)
    other = await a_tenant(tables.database)
    async with tables.database.transaction() as session:
        budget = (await budgets.set_(session, wanted)).budget
        waiting = asyncio.create_task(accept(tables.database, a_generation(tables.tenant_id, "0.10")))
        await _somebody_waits(tables.database, "advisory")

        assert await asyncio.wait_for(accept(tables.database, a_generation(other, "0.10")), 20)
        assert not waiting.done()

    assert await waiting
    assert await counted(tables.database, budget.id) == (Decimal("0.10"), Decimal(0))


async def test_who_waits_for_a_tenants_budget_does_not_keep_the_systems_meanwhile(tables: Tables) -> None:
    other = await a_tenant(tables.database)
    async with _for_the_system(tables.database):  # the older one of the two
        budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")
        await accept(tables.database, a_generation(tables.tenant_id, "0.10"))
        async with tables.database.transaction() as session:
            held = text("select 1 from budget_period where budget_id = :id for update")
            await (await session.connection()).execute(held, {"id": budget})
            waiting = asyncio.create_task(accept(tables.database, a_generation(tables.tenant_id, "0.10")))
            await _somebody_waits(tables.database, "transactionid")

            assert await asyncio.wait_for(accept(tables.database, a_generation(other, "0.10")), 20)

        assert await waiting


async def test_a_request_reads_the_budgets_that_count_it_and_not_those_of_everybody(tables: Tables) -> None:
    many = text(
        'insert into budget (id, "of", owner, period, limit_usd, hard, created_at)'
        " select gen_random_uuid(), 'key', 'nobody' || gen_random_uuid(), 'day', 1, true, now() from generate_series(1, 1000)"
    )
    read = text("select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'budget'")
    with suppress(_TheEnd):
        async with tables.database.transaction() as session:
            connection = await session.connection()
            for _ in range(20):  # one command for all of it might outlast the patience with a command
                await connection.execute(many)
            await connection.execute(text("analyze budget"))
            before = (await connection.execute(read)).scalar_one()
            await generations.accept(session, a_generation(tables.tenant_id, "0.10"))
            after = (await connection.execute(read)).scalar_one()
            raise _TheEnd

    assert after - before < 100
