"""Runs that close twice, transactions that meet, and paid answers that must not be lost."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.exceptions import ApplicationError
from uuid_utils.compat import uuid7

from activities import keeping
from contracts.pictures import Closing
from contracts.statuses import AssetState, SpendState, Status
from db import assets, ledger, lives
from db.models import Spend
from providers.base import FinishedPicture
from providers.catalog import Catalog
from tests.integration.conftest import Tables
from tests.integration.patience import waiting_for
from tests.integration.test_further_runs import DONE, WithJobs, adopt, in_review
from tests.integration.test_ledger import PROMPT, a_generation, an_order
from tests.integration.test_making import PNG, Workshop, at_once

NOT_A_PICTURE = FinishedPicture(body=b"GIF89a...", content_type="application/octet-stream")
# The engine warns of payloads above this size, and refuses those above eight times as much.
LARGE_PAYLOAD_BYTES = 256 * 1024
LONG_ENOUGH_S = 0.5  # for a step that cannot go on, because the one under test holds what it needs


# Further runs


@pytest.mark.parametrize("status", [Status.queued, Status.running])
async def test_an_earlier_run_that_closes_once_more_does_not_touch_the_further_run(
    tables: Tables, status: Status
) -> None:
    """A local activity whose commit was made and whose worker died is executed again, here after the reopening."""
    shop = Workshop(tables, WithJobs(DONE))
    order = await in_review(shop)
    await adopt(tables, order)
    async with tables.database.transaction() as session:
        if status is Status.running:
            await lives.open_(session, await lives.read(session, order.generation_id))
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
    async with tables.database.transaction() as session:
        generation = await lives.read(session, order.generation_id)

    assert (generation.status, generation.run) == (status, 2)


async def test_a_picture_costs_what_its_own_model_costs_although_the_plan_names_another_by_now(tables: Tables) -> None:
    catalog = Catalog.load()
    models = [entry for entry in catalog.models if entry.provider == "replicate"]
    dearest = max(models, key=lambda entry: catalog.price(entry, "low", None, 0, shape="square"))
    costs: list[Decimal] = []
    for named_later in (models[0].model, dearest.model):
        shop = Workshop(tables, WithJobs(DONE))
        order = await in_review(shop)
        assert order.candidate.model == models[0].model
        await adopt(tables, order, job_id=f"job-{len(costs)}")
        candidate = order.candidate.model_copy(update={"model": named_later})
        costs.append((await shop.make(order.model_copy(update={"candidate": candidate}))).cost_usd)

    assert costs[0] == costs[1]


# Two transactions at once


async def test_a_closed_generation_costs_what_its_purchases_cost_although_one_was_claimed_meanwhile(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    closing: list[asyncio.Task[Any]] = []
    real = ledger.claim

    async def close() -> None:
        async with tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    async def claim_while_it_is_closed(*given: Any) -> Spend:
        closing.append(asyncio.create_task(close()))
        await asyncio.wait(closing, timeout=LONG_ENOUGH_S)
        return await real(*given)

    monkeypatch.setattr(ledger, "claim", claim_while_it_is_closed)
    await asyncio.gather(shop.make(order), return_exceptions=True)
    await asyncio.gather(*closing)
    async with tables.database.transaction() as session:
        generation = await lives.read(session, order.generation_id)
        spent = await ledger.cost_of(session, order.generation_id)

    assert generation.status is Status.failed
    assert generation.cost_usd == spent


async def test_a_picture_that_is_stored_while_its_generation_is_closed_and_the_closing_do_not_deadlock(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    has_purchase, has_generation = asyncio.Event(), asyncio.Event()
    real_mark, real_close_open = assets.mark, ledger.close_open

    async def mark(session: AsyncSession, asset_id: UUID, state: AssetState) -> bool:
        if await _is_a_settling(session, order.generation_id):
            has_purchase.set()
            await _passed(has_generation)
        return await real_mark(session, asset_id, state)

    async def close_open(session: AsyncSession, generation_id: UUID) -> None:
        has_generation.set()
        await real_close_open(session, generation_id)

    async def close() -> None:
        async with waiting_for("a purchase that is being settled"):
            await has_purchase.wait()
        async with tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    monkeypatch.setattr(assets, "mark", mark)
    monkeypatch.setattr(ledger, "close_open", close_open)
    ends = await asyncio.gather(shop.make(order), close(), return_exceptions=True)

    assert has_purchase.is_set()
    assert [end for end in ends if isinstance(end, DBAPIError)] == []


async def _is_a_settling(session: AsyncSession, generation_id: UUID) -> bool:
    here = [Spend.generation_id == generation_id, Spend.state == SpendState.settled]
    return (await session.exec(select(Spend.id).where(*here))).first() is not None


async def _passed(bell: asyncio.Event) -> None:
    """Wait for the bell, but not for ever: with an order of locks that is right, it cannot ring."""
    await asyncio.wait({asyncio.ensure_future(bell.wait())}, timeout=LONG_ENOUGH_S)


# Paid pictures


async def test_a_paid_answer_that_lies_in_the_store_is_found_by_the_next_attempt(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The end of a process between the put and the commit that follows it."""

    async def die(*_given: Any, **_named: Any) -> Spend:
        raise Killed

    said = Decimal("0.0123")
    shop = Workshop(tables, at_once(replace(PNG, cost_usd=said)))
    order = await shop.order()
    with monkeypatch.context() as patch:
        patch.setattr(keeping, "record_submitted", die)
        with pytest.raises(Killed):
            await shop.make(order)
    assert len(await shop.keys()) == 1

    made = await shop.make(order)
    assert len(shop.provider.sent) == 1
    assert made.cost_usd == said


async def test_a_second_purchase_whose_answer_has_the_same_bytes_is_settled_as_paid_like_the_first(
    tables: Tables,
) -> None:
    shop = Workshop(tables, at_once(NOT_A_PICTURE, NOT_A_PICTURE))
    order = await shop.order()
    ends = []
    for purchase in (0, 1):  # a broken picture is bought once more
        with pytest.raises(ApplicationError) as caught:
            await shop.make(order.model_copy(update={"purchase": purchase}))
        ends.append((caught.value.type, caught.value.non_retryable))

    assert ends == [("output_corrupt", True)] * 2


async def test_what_a_provider_said_a_purchase_costs_counts_when_its_generation_is_closed(tables: Tables) -> None:
    said = Decimal("0.041")
    order = an_order(await a_generation(tables))
    async with tables.database.transaction() as session:
        spend = await ledger.mark_sent(session, await ledger.claim(session, order, PROMPT), window_s=1)
        await ledger.mark_submitted(session, spend, raw_asset_id=uuid7(), cost_usd=said)
        closed = await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    assert closed.cost_usd == said
