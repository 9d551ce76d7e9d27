"""The ledger on a real PostgreSQL: leases fence, and no state is reached but by its way."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid_utils.compat import uuid7

from contracts.pictures import Candidate, PictureOrder
from contracts.statuses import Kind, SpendState, Step
from db import events, generations, ledger, lives, transitions
from db.ledger import PromptUsed
from db.models import Asset, Generation, Spend
from errors import LeaseLost
from tests.integration.conftest import Tables

PROMPT = PromptUsed(text="a fox", name="avatar", version="1", sha256="0" * 64)
Move = Callable[[AsyncSession, Spend], Awaitable[Spend]]
MOVES: dict[SpendState, Move] = {
    SpendState.held: ledger.mark_unsent,
    SpendState.sent: lambda session, spend: ledger.mark_sent(session, spend, window_s=30),
    SpendState.submitted: lambda session, spend: ledger.mark_submitted(session, spend, job_id="job"),
    SpendState.settled: lambda session, spend: ledger.settle(session, spend, cost_usd=Decimal("0.01")),
    SpendState.released: lambda session, spend: ledger.release(session, spend, error_code=None),
    SpendState.unknown: ledger.mark_unknown,
}
WAYS: dict[SpendState, tuple[SpendState, ...]] = {
    SpendState.held: (),
    SpendState.sent: (SpendState.sent,),
    SpendState.submitted: (SpendState.sent, SpendState.submitted),
    SpendState.settled: (SpendState.sent, SpendState.submitted, SpendState.settled),
    SpendState.released: (SpendState.released,),
    SpendState.unknown: (SpendState.sent, SpendState.unknown),
}


async def a_generation(tables: Tables, **fields: Any) -> Generation:
    values: dict[str, Any] = {
        "tenant_id": tables.tenant_id,
        "kind": Kind.avatar,
        "request": {},
        "request_hash": "0" * 64,
        "quote_max_usd": Decimal(1),
    }
    generation = Generation(**(values | fields))
    async with tables.database.transaction() as session:
        assert await generations.accept(session, generation)
    return generation


def an_order(generation: Generation, purchase: int = 0) -> PictureOrder:
    candidate = Candidate(provider="replicate", model="m", max_usd=Decimal("0.05"), unknown_policy="review")
    return PictureOrder(
        generation_id=generation.id,
        tenant_id=generation.tenant_id,
        step=Step.avatar,
        purchase=purchase,
        candidate=candidate,
        reference=None,
        deadline_s=60,
    )


async def claimed(tables: Tables, order: PictureOrder) -> Spend:
    async with tables.database.transaction() as session:
        return await ledger.claim(session, order, PROMPT)


async def brought_to(tables: Tables, state: SpendState) -> Spend:
    spend = await claimed(tables, an_order(await a_generation(tables)))
    for step in WAYS[state]:
        async with tables.database.transaction() as session:
            spend = await MOVES[step](session, spend)
    return spend


@pytest.mark.parametrize("there", list(SpendState))
@pytest.mark.parametrize("here", list(SpendState))
async def test_a_spend_moves_only_along_the_drawn_ways(tables: Tables, here: SpendState, there: SpendState) -> None:
    spend = await brought_to(tables, here)

    async def move() -> Spend:
        async with tables.database.transaction() as session:
            return await MOVES[there](session, spend)

    if here in transitions.SPEND[there]:
        assert (await move()).state is there
    else:
        with pytest.raises(LeaseLost):
            await move()


async def test_a_second_claim_takes_the_purchase_over_and_the_first_can_change_nothing(tables: Tables) -> None:
    order = an_order(await a_generation(tables))
    first = await claimed(tables, order)
    second = await claimed(tables, order)

    async with tables.database.transaction() as session:
        await ledger.mark_sent(session, second, window_s=30)
    with pytest.raises(LeaseLost):
        async with tables.database.transaction() as session:
            await ledger.mark_submitted(session, first, job_id="stale")

    assert (second.id, second.token, second.lease) == (first.id, first.token, first.lease + 1)


async def test_a_purchase_that_was_sent_keeps_its_time_limit_when_it_is_taken_over(tables: Tables) -> None:
    order = an_order(await a_generation(tables))
    first = await claimed(tables, order)
    async with tables.database.transaction() as session:
        sent = await ledger.mark_sent(session, first, window_s=500)

    again = await claimed(tables, order)

    assert again.state is SpendState.sent
    assert again.lease_until == sent.lease_until


async def test_a_purchase_that_has_ended_is_returned_as_it_is(tables: Tables) -> None:
    order = an_order(await a_generation(tables))
    first = await claimed(tables, order)
    async with tables.database.transaction() as session:
        await ledger.release(session, first, error_code="policy_refused")

    again = await claimed(tables, order)

    assert (again.state, again.lease, again.error_code) == (SpendState.released, first.lease, "policy_refused")


async def test_twenty_claims_at_once_make_one_spend_with_twenty_leases(tables: Tables) -> None:
    order = an_order(await a_generation(tables))

    spends = await asyncio.gather(*(claimed(tables, order) for _ in range(20)))

    assert len({spend.id for spend in spends}) == 1
    assert sorted(spend.lease for spend in spends) == list(range(1, 21))


async def test_taking_over_for_the_undoing_fences_whoever_still_works(tables: Tables) -> None:
    order = an_order(await a_generation(tables))
    spend = await claimed(tables, order)
    async with tables.database.transaction() as session:
        (taken,) = await ledger.take_over(session, order.generation_id, order.step)

    with pytest.raises(LeaseLost):
        async with tables.database.transaction() as session:
            await ledger.mark_sent(session, spend, window_s=30)

    assert taken.lease == spend.lease + 1


async def test_events_of_a_generation_have_no_gaps_when_many_write_at_once(tables: Tables) -> None:
    generation = await a_generation(tables)

    async def write(number: int) -> None:
        async with tables.database.transaction() as session:
            await events.append(session, generation.id, "picture.progress", {"number": number})

    await asyncio.gather(*(write(number) for number in range(25)))
    async with tables.database.transaction() as session:
        rows = await events.after(session, generation.id, 0)

    assert [row.seq for row in rows] == list(range(1, 27))


async def test_an_event_of_a_transaction_that_fails_was_never_there(tables: Tables) -> None:
    generation = await a_generation(tables)

    async def store_and_fail() -> None:
        async with tables.database.transaction() as session:
            await events.append(session, generation.id, "picture.stored")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await store_and_fail()
    async with tables.database.transaction() as session:
        rows = await events.after(session, generation.id, 0)

    assert [row.type for row in rows] == ["generation.queued"]


async def test_of_many_requests_with_one_idempotency_key_one_is_accepted(tables: Tables) -> None:
    async def accept() -> bool:
        generation = Generation(
            tenant_id=tables.tenant_id,
            kind=Kind.avatar,
            request={},
            request_hash="0" * 64,
            quote_max_usd=Decimal(1),
            idempotency_key="the-key",
        )
        async with tables.database.transaction() as session:
            return await generations.accept(session, generation)

    accepted = await asyncio.gather(*(accept() for _ in range(12)))

    assert sum(accepted) == 1


async def test_what_a_generation_cost_includes_purchases_that_failed(tables: Tables) -> None:
    generation = await a_generation(tables)
    for purchase, cost in enumerate((Decimal("0.02"), Decimal("0.03"))):
        spend = await claimed(tables, an_order(generation, purchase))
        async with tables.database.transaction() as session:
            spend = await ledger.mark_sent(session, spend, window_s=30)
            await ledger.settle(session, spend, cost_usd=cost)

    async with tables.database.transaction() as session:
        assert await ledger.cost_of(session, generation.id) == Decimal("0.05")


async def test_a_cancel_wish_is_written_once_and_read_by_whoever_works(tables: Tables) -> None:
    generation = await a_generation(tables)
    for _ in range(2):
        async with tables.database.transaction() as session:
            await generations.request_cancel(session, generation)

    async with tables.database.transaction() as session:
        rows = await events.after(session, generation.id, 0)
        assert await lives.cancel_requested(session, generation.id)
    assert [row.type for row in rows].count("generation.cancel_requested") == 1


async def test_words_that_nobody_knows_are_refused_by_the_database(tables: Tables) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    generation = await a_generation(tables)

    with pytest.raises(IntegrityError):
        async with tables.database.transaction() as session:
            await (await session.connection()).execute(
                text("update generation set status = 'lost' where id = :id"), {"id": generation.id}
            )


def test_ids_are_in_the_order_of_their_making() -> None:
    ids: list[UUID] = [uuid7() for _ in range(1000)]

    assert ids == sorted(ids)
    assert Asset.__tablename__ == "asset"
