"""The database counts what was promised and spent: no path of the code moves money past a budget."""

import asyncio
from decimal import Decimal
from secrets import token_hex

import pytest
from sqlalchemy import func
from sqlmodel import col, select, update

from contracts.budgets import BudgetOf
from contracts.statuses import SpendState, Status
from db.columns import now
from db.models import ApiKey, Generation, Spend
from errors import PromiseExhausted, ProviderBudgetExhausted
from tests.integration.conftest import Tables
from tests.integration.money_rows import a_budget, a_generation, a_purchase, accept, counted, end


async def test_what_is_promised_is_held_until_the_end_and_then_what_was_spent_counts(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.key, "abcdefabcdef", "1.00")
    generation = a_generation(tables.tenant_id, "0.40", key_id="abcdefabcdef")
    await accept(tables.database, generation)
    assert await counted(tables.database, budget) == (Decimal("0.40"), Decimal(0))

    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal("0.15"), "finished_at": now(), "status": Status.failed}
    async with tables.database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == generation.id).values(ended))

    assert await counted(tables.database, budget) == (Decimal(0), Decimal("0.15"))


async def test_a_rotated_key_counts_and_gives_back_where_the_first_of_its_line_does(tables: Tables) -> None:
    first, second = token_hex(6), token_hex(6)
    async with tables.database.transaction() as session:
        session.add(ApiKey(id=first, tenant_id=tables.tenant_id, name="", digest=b""))
        session.add(ApiKey(id=second, tenant_id=tables.tenant_id, name="", digest=b"", budget_key=first))
    budget = await a_budget(tables.database, BudgetOf.key, first, "0.50")
    before, after = (a_generation(tables.tenant_id, "0.30", key_id=one) for one in (first, second))

    assert [await accept(tables.database, one) for one in (before, after)] == [True, False]
    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal("0.15"), "finished_at": now(), "status": Status.failed}
    async with tables.database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == before.id).values(ended))

    assert await accept(tables.database, a_generation(tables.tenant_id, "0.30", key_id=second))
    assert await counted(tables.database, budget) == (Decimal("0.30"), Decimal("0.15"))


async def test_a_soft_budget_counts_on_however_far_it_is_passed(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00", hard=False)
    dear = [a_generation(tables.tenant_id, "900000") for _ in range(2)]

    assert [await accept(tables.database, one) for one in dear] == [True, True]
    assert await counted(tables.database, budget) == (Decimal(1_800_000), Decimal(0))
    for one in dear:
        await end(tables.database, one, "0")


async def test_a_purchase_that_does_not_fit_the_providers_budget_is_refused(tables: Tables) -> None:
    budget = await a_budget(tables.database, BudgetOf.provider, "budgeted", "0.15")
    generation = a_generation(tables.tenant_id, "1.00")
    await accept(tables.database, generation)
    async with tables.database.transaction() as session:
        session.add(a_purchase(generation, "0.10", provider="budgeted"))

    with pytest.raises(ProviderBudgetExhausted):
        async with tables.database.transaction() as session:
            session.add(a_purchase(generation, "0.10", provider="budgeted", purchase=2))

    assert await counted(tables.database, budget) == (Decimal("0.10"), Decimal(0))


async def test_a_purchase_that_does_not_fit_the_promised_price_is_refused(tables: Tables) -> None:
    generation = a_generation(tables.tenant_id, "0.25")
    await accept(tables.database, generation)

    async def buy(purchase: int) -> bool:
        try:
            async with tables.database.transaction() as session:
                session.add(a_purchase(generation, "0.10", purchase=purchase))
        except PromiseExhausted:
            return False
        return True

    assert sum(await asyncio.gather(*(buy(purchase) for purchase in range(1, 9)))) == 2


async def test_a_purchase_that_was_given_back_leaves_room_again(tables: Tables) -> None:
    generation = a_generation(tables.tenant_id, "0.10")
    await accept(tables.database, generation)
    async with tables.database.transaction() as session:
        session.add(a_purchase(generation, "0.10"))
    released = {"state": SpendState.released, "cost_usd": Decimal(0), "billed": "no", "ended_at": now()}
    async with tables.database.transaction() as session:
        await session.exec(update(Spend).where(col(Spend.generation_id) == generation.id).values(released))

    async with tables.database.transaction() as session:
        session.add(a_purchase(generation, "0.10", purchase=2))

    async with tables.database.transaction() as session:
        bought = await session.exec(select(func.count()).where(Spend.generation_id == generation.id))
    assert bought.one() == 2
