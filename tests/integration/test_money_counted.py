"""The database counts what was promised and spent: no path of the code moves money past a budget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, text
from sqlmodel import col, select, update

from contracts.budgets import BudgetOf, Period
from contracts.statuses import Kind, SpendState, Status, Step
from db import budgets, generations, keys
from db.budgets import NewBudget
from db.columns import now
from db.engine import Database
from db.models import ApiKey, Generation, Spend
from db.money_models import Budget, BudgetAlert, BudgetPeriod
from errors import BudgetExhausted, PromiseExhausted, ProviderBudgetExhausted
from tests.integration.api.running_api import eventually
from tests.integration.conftest import Tables


class _TheEnd(Exception):
    """Nothing of it is to stay."""


def _generation(tenant_id: UUID, usd: str, key_id: str | None = None) -> Generation:
    return Generation(
        tenant_id=tenant_id,
        kind=Kind.avatar,
        request={},
        request_hash="",
        key_id=key_id,
        quote_max_usd=Decimal(usd),
        hold_usd=Decimal(usd),
    )


def _spend(generation: Generation, usd: str, *, provider: str = "replicate", purchase: int = 1) -> Spend:
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


async def _budget(database: Database, of: BudgetOf, owner: str, usd: str, *, hard: bool = True) -> UUID:
    async with database.transaction() as session:
        budget = Budget(of=of, owner=owner, period=Period.day, limit_usd=Decimal(usd), hard=hard)
        session.add(budget)
    return budget.id


async def _counted(database: Database, budget_id: UUID) -> tuple[Decimal, Decimal]:
    async with database.transaction() as session:
        row = (await session.exec(select(BudgetPeriod).where(BudgetPeriod.budget_id == budget_id))).one()
    return row.held_usd, row.spent_usd


async def _accept(database: Database, generation: Generation) -> bool:
    try:
        async with database.transaction() as session:
            return await generations.accept(session, generation)
    except BudgetExhausted:
        return False


async def test_of_many_that_ask_at_once_exactly_those_are_accepted_that_fit(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    asked = [_accept(tables.database, _generation(tables.tenant_id, "0.10")) for _ in range(40)]
    accepted = await asyncio.gather(*asked)

    assert sum(accepted) == 10
    assert await _counted(tables.database, budget) == (Decimal("1.00"), Decimal(0))


async def test_shares_of_a_budget_are_told_once_each(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00", hard=False)

    await asyncio.gather(*(_accept(tables.database, _generation(tables.tenant_id, "0.10")) for _ in range(12)))

    async with tables.database.transaction() as session:
        told = (await session.exec(select(BudgetAlert.percent).where(BudgetAlert.budget_id == budget))).all()
    assert sorted(told) == [50, 80, 100]


async def test_what_is_promised_is_held_until_the_end_and_then_what_was_spent_counts(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.key, "abcdefabcdef", "1.00")
    generation = _generation(tables.tenant_id, "0.40", key_id="abcdefabcdef")
    await _accept(tables.database, generation)
    assert await _counted(tables.database, budget) == (Decimal("0.40"), Decimal(0))

    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal("0.15"), "finished_at": now(), "status": Status.failed}
    async with tables.database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == generation.id).values(ended))

    assert await _counted(tables.database, budget) == (Decimal(0), Decimal("0.15"))


async def test_a_rotated_key_counts_and_gives_back_where_the_first_of_its_line_does(tables: Tables) -> None:
    first, second = token_hex(6), token_hex(6)
    async with tables.database.transaction() as session:
        session.add(ApiKey(id=first, tenant_id=tables.tenant_id, name="", digest=b""))
        session.add(ApiKey(id=second, tenant_id=tables.tenant_id, name="", digest=b"", budget_key=first))
    budget = await _budget(tables.database, BudgetOf.key, first, "0.50")
    before, after = (_generation(tables.tenant_id, "0.30", key_id=one) for one in (first, second))

    assert [await _accept(tables.database, one) for one in (before, after)] == [True, False]
    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal("0.15"), "finished_at": now(), "status": Status.failed}
    async with tables.database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == before.id).values(ended))

    assert await _accept(tables.database, _generation(tables.tenant_id, "0.30", key_id=second))
    assert await _counted(tables.database, budget) == (Decimal("0.30"), Decimal("0.15"))


async def _ask(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.transaction() as session:
        result = await (await session.connection()).execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def _end(database: Database, generation: Generation, usd: str) -> None:
    ended = {"hold_usd": Decimal(0), "cost_usd": Decimal(usd), "finished_at": now(), "status": Status.failed}
    async with database.transaction() as session:
        await session.exec(update(Generation).where(col(Generation.id) == generation.id).values(ended))


async def _somebody_waits(database: Database, kind: str) -> None:
    """Until a transaction waits for a lock of this kind."""
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and wait_event = :kind"
    await eventually(lambda: _ask(database, query, kind=kind))


@asynccontextmanager
async def _for_the_system(database: Database) -> AsyncIterator[UUID]:
    """A budget of the whole system that refuses nobody, ended with the block: it is everybody's."""
    budget = await _budget(database, BudgetOf.system, "", "100000", hard=False)
    try:
        yield budget
    finally:
        await _ask(database, "update budget set removed_at = now() where id = :id", id=budget)


async def _a_tenant(database: Database) -> UUID:
    key = keys.new_key()
    async with database.transaction() as session:
        return await keys.ensure_key(session, key, pepper="pepper", tenant_name=key)


async def test_who_sets_a_budget_lets_those_wait_whom_it_counts_and_nobody_else(tables: Tables) -> None:
    wanted = NewBudget(BudgetOf.tenant, str(tables.tenant_id), Period.day, Decimal(1), hard=True, tenant_id=None)
    other = await _a_tenant(tables.database)
    async with tables.database.transaction() as session:
        budget = (await budgets.set_(session, wanted)).budget
        waiting = asyncio.create_task(_accept(tables.database, _generation(tables.tenant_id, "0.10")))
        await _somebody_waits(tables.database, "advisory")

        assert await asyncio.wait_for(_accept(tables.database, _generation(other, "0.10")), 20)
        assert not waiting.done()

    assert await waiting
    assert await _counted(tables.database, budget.id) == (Decimal("0.10"), Decimal(0))


async def test_who_waits_for_a_tenants_budget_does_not_keep_the_systems_meanwhile(tables: Tables) -> None:
    other = await _a_tenant(tables.database)
    async with _for_the_system(tables.database):  # the older one of the two
        budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")
        await _accept(tables.database, _generation(tables.tenant_id, "0.10"))
        async with tables.database.transaction() as session:
            held = text("select 1 from budget_period where budget_id = :id for update")
            await (await session.connection()).execute(held, {"id": budget})
            waiting = asyncio.create_task(_accept(tables.database, _generation(tables.tenant_id, "0.10")))
            await _somebody_waits(tables.database, "transactionid")

            assert await asyncio.wait_for(_accept(tables.database, _generation(other, "0.10")), 20)

        assert await waiting


async def test_a_request_reads_the_budgets_that_count_it_and_not_those_of_everybody(tables: Tables) -> None:
    many = text(
        'insert into budget (id, "of", owner, period, limit_usd, hard, created_at)'
        " select gen_random_uuid(), 'key', 'nobody' || number, 'day', 1, true, now() from generate_series(1, 20000) as number"
    )
    read = text("select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'budget'")
    with suppress(_TheEnd):
        async with tables.database.transaction() as session:
            connection = await session.connection()
            await connection.execute(many)
            await connection.execute(text("analyze budget"))
            before = (await connection.execute(read)).scalar_one()
            await generations.accept(session, _generation(tables.tenant_id, "0.10"))
            after = (await connection.execute(read)).scalar_one()
            raise _TheEnd

    assert after - before < 100


async def test_that_a_hard_budget_is_full_is_told_although_no_request_fits_it_to_the_end(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    accepted = await asyncio.gather(
        *(_accept(tables.database, _generation(tables.tenant_id, "0.30")) for _ in range(4))
    )

    told = await _ask(tables.database, "select percent from budget_alert where budget_id = :id", id=budget)
    assert (sum(accepted), sorted(row.percent for row in told)) == (3, [50, 80, 100])


async def test_one_request_that_is_too_dear_does_not_make_a_budget_full(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00")

    accepted = [await _accept(tables.database, _generation(tables.tenant_id, usd)) for usd in ("0.60", "0.60")]

    told = await _ask(tables.database, "select percent from budget_alert where budget_id = :id", id=budget)
    assert (accepted, [row.percent for row in told]) == ([True, False], [50])


async def test_a_soft_budget_counts_on_however_far_it_is_passed(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.tenant, str(tables.tenant_id), "1.00", hard=False)
    dear = [_generation(tables.tenant_id, "900000") for _ in range(2)]

    assert [await _accept(tables.database, one) for one in dear] == [True, True]
    assert await _counted(tables.database, budget) == (Decimal(1_800_000), Decimal(0))
    for one in dear:
        await _end(tables.database, one, "0")


LAST_NIGHT = datetime.combine(now().date(), time(), UTC) - timedelta(milliseconds=100)


async def _periods(database: Database, budget_id: UUID) -> list[Any]:
    query = "select begins_on, held_usd, spent_usd from budget_period where budget_id = :id order by begins_on"
    return [tuple(row) for row in await _ask(database, query, id=budget_id)]


@pytest.mark.parametrize("period", Period)
async def test_what_was_accepted_before_midnight_counts_on_that_day_when_it_ends_on_the_next(
    tables: Tables, period: Period
) -> None:
    async with tables.database.transaction() as session:
        owner = str(tables.tenant_id)
        budget = Budget(of=BudgetOf.tenant, owner=owner, period=period, limit_usd=Decimal(1))
        session.add(budget)
    generation = _generation(tables.tenant_id, "0.40")
    generation.created_at = LAST_NIGHT
    begins = LAST_NIGHT.date().replace(day=1) if period is Period.month else LAST_NIGHT.date()

    await _accept(tables.database, generation)
    accepted = await _periods(tables.database, budget.id)
    await _end(tables.database, generation, "0.15")

    assert accepted == [(begins, Decimal("0.40"), Decimal(0))]
    assert await _periods(tables.database, budget.id) == [(begins, Decimal(0), Decimal("0.15"))]


async def test_a_budget_does_not_count_what_ends_in_its_period_and_was_accepted_before_it(tables: Tables) -> None:
    generation = _generation(tables.tenant_id, "0.40")
    generation.created_at = LAST_NIGHT
    await _accept(tables.database, generation)
    wanted = NewBudget(BudgetOf.tenant, str(tables.tenant_id), Period.day, Decimal(1), hard=True, tenant_id=None)
    async with tables.database.transaction() as session:
        budget = (await budgets.set_(session, wanted)).budget
    before = await _periods(tables.database, budget.id)

    await _end(tables.database, generation, "0.15")

    assert [(held, spent) for _, held, spent in before] == [(Decimal(0), Decimal(0))]
    assert await _periods(tables.database, budget.id) == before


async def test_a_purchase_that_does_not_fit_the_providers_budget_is_refused(tables: Tables) -> None:
    budget = await _budget(tables.database, BudgetOf.provider, "budgeted", "0.15")
    generation = _generation(tables.tenant_id, "1.00")
    await _accept(tables.database, generation)
    async with tables.database.transaction() as session:
        session.add(_spend(generation, "0.10", provider="budgeted"))

    with pytest.raises(ProviderBudgetExhausted):
        async with tables.database.transaction() as session:
            session.add(_spend(generation, "0.10", provider="budgeted", purchase=2))

    assert await _counted(tables.database, budget) == (Decimal("0.10"), Decimal(0))


async def test_a_purchase_that_does_not_fit_the_promised_price_is_refused(tables: Tables) -> None:
    generation = _generation(tables.tenant_id, "0.25")
    await _accept(tables.database, generation)

    async def buy(purchase: int) -> bool:
        try:
            async with tables.database.transaction() as session:
                session.add(_spend(generation, "0.10", purchase=purchase))
        except PromiseExhausted:
            return False
        return True

    assert sum(await asyncio.gather(*(buy(purchase) for purchase in range(1, 9)))) == 2


async def test_a_purchase_that_was_given_back_leaves_room_again(tables: Tables) -> None:
    generation = _generation(tables.tenant_id, "0.10")
    await _accept(tables.database, generation)
    async with tables.database.transaction() as session:
        session.add(_spend(generation, "0.10"))
    released = {"state": SpendState.released, "cost_usd": Decimal(0), "billed": "no", "ended_at": now()}
    async with tables.database.transaction() as session:
        await session.exec(update(Spend).where(col(Spend.generation_id) == generation.id).values(released))

    async with tables.database.transaction() as session:
        session.add(_spend(generation, "0.10", purchase=2))

    async with tables.database.transaction() as session:
        bought = await session.exec(select(func.count()).where(Spend.generation_id == generation.id))
    assert bought.one() == 2


@pytest.mark.parametrize("statement", ["update audit set note = 'x'", "delete from audit", "truncate audit"])
async def test_the_audit_is_only_ever_added_to(tables: Tables, statement: str) -> None:
    async with tables.database.transaction() as session:
        await (await session.connection()).execute(
            text(
                "insert into audit (id, actor, action, subject, subject_id, note, facts, created_at)"
                " values (gen_random_uuid(), 'command', 'a', 'b', '', '', '{}', now())"
            )
        )

    with pytest.raises(Exception, match="only ever added to"):
        async with tables.database.transaction() as session:
            await (await session.connection()).execute(text(statement))
