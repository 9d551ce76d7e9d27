"""A generation holds what was promised for it until it ends, and buys nothing beyond that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.generations import GenerationActivities
from activities.planning import Planner
from contracts.budgets import BudgetOf, Period
from contracts.pictures import Closing, GenerationInput, Opened
from contracts.statuses import Billed, Status
from db import budget_figures, budgets, corrections, ledger, lives
from db.budgets import NewBudget
from db.models import Generation, Spend
from db.money_models import Budget
from db.protection_models import ProviderCredential
from providers.catalog import Catalog
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_making import PNG, Workshop, at_once
from tests.workflows.stage import picture

PROMISED = Decimal("0.20")
AVATAR = {"kind": "avatar", "avatar": {"description": "a fox", "size": "native"}, "quality": "low"}


async def accepted(tables: Tables, **fields: Any) -> Generation:
    return await a_generation(tables, **({"quote_max_usd": PROMISED, "hold_usd": PROMISED, "request": AVATAR} | fields))


async def read(tables: Tables, generation: Generation) -> Generation:
    async with tables.database.transaction() as session:
        return await lives.read(session, generation.id)


async def paid(tables: Tables, generation: Generation, usd: str) -> None:
    spend = await claimed(tables, an_order(generation))
    async with tables.database.transaction() as session:
        await lives.open_(session, generation)
        spend = await ledger.mark_sent(session, spend, window_s=0)
        await ledger.settle(session, spend, cost_usd=Decimal(usd), billed=Billed.unknown)


async def close(tables: Tables, generation: Generation, outcome: Any) -> Generation:
    async with tables.database.transaction() as session:
        made = (picture(an_order(generation)),) if outcome == "succeeded" else ()
        await lives.close(session, Closing(generation_id=generation.id, outcome=outcome, pictures=made))
    return await read(tables, generation)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "canceled"])
async def test_nothing_is_held_for_a_generation_that_has_ended(tables: Tables, outcome: str) -> None:
    generation = await accepted(tables)
    await paid(tables, generation, "0.04")

    row = await close(tables, generation, outcome)

    assert (row.hold_usd, row.cost_usd) == (Decimal(0), Decimal("0.04"))


async def test_while_people_decide_what_is_left_of_the_promise_is_held(tables: Tables) -> None:
    generation = await accepted(tables)
    await paid(tables, generation, "0.04")

    row = await close(tables, generation, "needs_review")

    assert (row.hold_usd, row.cost_usd) == (Decimal("0.16"), Decimal("0.04"))


async def test_a_generation_that_goes_on_holds_its_whole_promise_again(tables: Tables) -> None:
    generation = await accepted(tables)
    await paid(tables, generation, "0.04")
    await close(tables, generation, "needs_review")

    async with tables.database.transaction() as session:
        assert await lives.reopen(session, generation.id, "operator_decided")

    row = await read(tables, generation)
    assert (row.hold_usd, row.cost_usd) == (PROMISED, None)


@pytest.mark.parametrize(("outcome", "held"), [("needs_review", "0.19"), ("failed", "0")])
async def test_a_cost_that_is_corrected_leaves_as_much_held_as_is_left(tables: Tables, outcome: str, held: str) -> None:
    generation = await accepted(tables)
    await paid(tables, generation, "0.04")
    await close(tables, generation, outcome)

    async with tables.database.transaction() as session:
        (spend,) = (await session.exec(select(Spend).where(Spend.generation_id == generation.id))).all()
        assert await corrections.verify(session, spend, billed=Billed.yes, cost_usd=Decimal("0.01"))
        await corrections.correct_cost(session, await corrections.locked(session, generation.id))

    row = await read(tables, generation)
    assert (row.hold_usd, row.cost_usd) == (Decimal(held), Decimal("0.01"))


@asynccontextmanager
async def counted(tables: Tables, of: BudgetOf, owner: str = "") -> AsyncIterator[NewBudget]:
    """A budget that refuses nobody, ended with the block."""
    wanted = NewBudget(of, owner, Period.day, Decimal(100_000), hard=False, tenant_id=None)
    async with tables.database.transaction() as session:
        await budgets.set_(session, wanted)
    try:
        yield wanted
    finally:
        async with tables.database.transaction() as session:
            state = await budgets.set_(session, wanted)
            await budgets.remove(session, state.budget.id, tenant_id=None)


async def used(tables: Tables, wanted: NewBudget) -> Decimal:
    """What counts against the valid budget, which is what one that is set now would begin with."""
    here: list[Any] = [Budget.of == wanted.of, Budget.owner == wanted.owner, col(Budget.hard).is_(False)]
    here.append(col(Budget.removed_at).is_(None))
    async with tables.database.transaction() as session:
        (budget_id,) = (await session.exec(select(Budget.id).where(*here))).all()
        counts = await budget_figures.one(session, budget_id)
        anew = await budgets.set_(session, wanted)
    assert (counts.held_usd, counts.spent_usd) == (anew.held_usd, anew.spent_usd)
    return anew.held_usd + anew.spent_usd


async def with_its_own_key(tables: Tables) -> Generation:
    """An accepted generation of a tenant who has a key of its own at the provider, and 0.04 USD were paid with it."""
    async with tables.database.transaction() as session:
        whose: dict[str, Any] = {"tenant_id": tables.tenant_id, "provider": "replicate"}
        session.add(ProviderCredential(**whose, sealed=b"", nonce=b"", sealed_by=""))
    generation = await accepted(tables)
    await paid(tables, generation, "0.04")
    return generation


async def test_what_is_paid_with_a_tenants_own_key_counts_for_the_tenant_and_not_for_the_system(tables: Tables) -> None:
    tenant_id = str(tables.tenant_id)
    async with counted(tables, BudgetOf.system) as system, counted(tables, BudgetOf.tenant, tenant_id) as tenant:
        before = await used(tables, system)
        generation = await with_its_own_key(tables)
        promised = await used(tables, system)
        row = await close(tables, generation, "failed")
        ended = [await used(tables, one) for one in (system, tenant)]
        async with tables.database.transaction() as session:
            (spend,) = (await session.exec(select(Spend).where(Spend.generation_id == generation.id))).all()
            assert await corrections.verify(session, spend, billed=Billed.yes, cost_usd=Decimal("0.01"))
            await corrections.correct_cost(session, await corrections.locked(session, generation.id))
        corrected = [await used(tables, one) for one in (system, tenant)]

    assert (row.cost_usd, row.own_keys_usd) == (Decimal("0.04"), Decimal("0.04"))
    assert promised == before + PROMISED, "who pays is known when it is bought"
    assert (ended, corrected) == ([before, Decimal("0.04")], [before, Decimal("0.01")])


async def test_while_people_decide_its_whole_price_counts_whoever_paid_so_far(tables: Tables) -> None:
    async with counted(tables, BudgetOf.system) as system:
        before = await used(tables, system)
        generation = await with_its_own_key(tables)
        await close(tables, generation, "needs_review")
        waiting = await used(tables, system)
        async with tables.database.transaction() as session:
            assert await lives.reopen(session, generation.id, "operator_decided")
        again = await used(tables, system)
        async with tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=generation.id, run=2, outcome="failed"))

        assert waiting == again == before + PROMISED
        assert await used(tables, system) == before


async def refusal(tables: Tables, promised: str) -> tuple[ApplicationError, int, int]:
    """Why the picture cannot be bought, how often a provider was asked, and how many purchases there are."""
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    async with tables.database.transaction() as session:
        row = await session.get_one(Generation, order.generation_id)
        row.quote_max_usd = Decimal(promised)
        session.add(row)
    with pytest.raises(ApplicationError) as refused:
        await shop.make(order)
    async with tables.database.transaction() as session:
        spends = (await session.exec(select(Spend).where(Spend.generation_id == order.generation_id))).all()
    return refused.value, len(shop.provider.sent), len(spends)


async def test_a_picture_that_has_no_room_in_the_promise_is_not_bought(tables: Tables) -> None:
    error, asked, spends = await refusal(tables, "0.04")

    assert (error.type, error.non_retryable) == ("promise_exhausted", True)
    assert error.details[0] == {"billed": "no", "max_usd": "0.040000", "left_usd": "0.040000", "wanted_usd": "0.050000"}
    assert (asked, spends) == (0, 0)


async def test_a_picture_that_has_no_room_in_its_providers_budget_is_not_bought(tables: Tables) -> None:
    async with tables.database.transaction() as session:
        budget = Budget(of=BudgetOf.provider, owner="replicate", period=Period.day, limit_usd=Decimal(0))
        session.add(budget)
    try:
        error, asked, spends = await refusal(tables, "1.00")
    finally:
        async with tables.database.transaction() as session:
            row = await session.get_one(Budget, budget.id)
            row.removed_at = row.created_at
            session.add(row)

    assert (error.type, error.non_retryable) == ("provider_budget_exhausted", True)
    assert (asked, spends) == (0, 0)


async def test_a_purchase_says_which_state_of_the_prices_it_was_reckoned_with(tables: Tables) -> None:
    generation = await accepted(tables)
    opened = await planned(tables, generation)
    candidate = opened.steps[0].candidates[0]

    spend = await claimed(tables, an_order(generation).model_copy(update={"candidate": candidate}))

    entry = Catalog.load().entry(candidate.provider, candidate.model)
    assert spend.price_version == entry.checked.isoformat()


async def planned(tables: Tables, generation: Generation) -> Opened:
    planner = Planner(Catalog.load(), configured=frozenset({"replicate", "openai"}), review_above_usd=Decimal(1))
    activities = GenerationActivities(database=tables.database, planner=planner, heartbeat_s=20)
    given = GenerationInput(generation_id=generation.id, tenant_id=generation.tenant_id, kind=generation.kind)
    opened: Opened = await ActivityEnvironment().run(activities.open, given)
    return opened


async def test_only_models_are_planned_that_have_room_in_the_promise(tables: Tables) -> None:
    anybody = AVATAR | {"strategy": "balanced"}
    everybody = (await planned(tables, await accepted(tables, request=anybody))).steps[0].candidates
    dearest = max(one.max_usd for one in everybody)
    cheapest = min(one.max_usd for one in everybody if not one.adjustments)

    cheap = await accepted(tables, request=anybody, quote_max_usd=cheapest)
    left = (await planned(tables, cheap)).steps[0].candidates

    assert cheapest < dearest
    assert left
    assert all(one.max_usd <= cheapest for one in left)


async def test_a_generation_that_today_nobody_makes_for_its_promise_ends_before_anything_is_bought(
    tables: Tables,
) -> None:
    generation = await accepted(tables, quote_max_usd=Decimal("0.001"))

    with pytest.raises(ApplicationError) as refused:
        await planned(tables, generation)

    assert (refused.value.type, refused.value.non_retryable) == ("too_expensive", True)
    assert (await read(tables, generation)).status is Status.queued
