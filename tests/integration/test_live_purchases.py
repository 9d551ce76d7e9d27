"""The queues of providers and models, counted from the ledger by its small indexes."""

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import text

from contracts.pictures import Candidate
from contracts.statuses import SpendState
from db import live_purchases
from db.live_purchases import LivePurchases, Queues
from tests.integration.conftest import Tables
from tests.integration.test_ledger import MOVES, WAYS, a_generation, an_order, claimed


async def purchased(tables: Tables, provider: str, model: str, state: SpendState) -> None:
    """A purchase that came as far as this."""
    candidate = Candidate(provider=provider, model=model, max_usd=Decimal("0.05"), unknown_policy="review")
    order = an_order(await a_generation(tables)).model_copy(update={"candidate": candidate})
    spend = await claimed(tables, order)
    async with tables.database.transaction() as session:
        for step in WAYS[state]:
            spend = await MOVES[step](session, spend)


async def queues(tables: Tables) -> Queues:
    async with tables.database.transaction() as session:
        return await live_purchases.read(session)


@pytest.mark.parametrize(
    ("state", "counted"),
    [
        (SpendState.held, LivePurchases(held=1)),
        (SpendState.sent, LivePurchases(sent=1)),
        (SpendState.submitted, LivePurchases(sent=1)),
        (SpendState.settled, LivePurchases()),
        (SpendState.released, LivePurchases()),
        (SpendState.unknown, LivePurchases()),
    ],
)
async def test_a_purchase_is_in_the_queue_from_its_claim_to_its_end(
    tables: Tables, state: SpendState, counted: LivePurchases
) -> None:
    provider = f"test-{uuid4().hex[:8]}"
    await purchased(tables, provider, "m", state)

    assert (await queues(tables)).of_model(provider, "m") == counted


async def test_a_providers_queue_is_that_of_all_its_models(tables: Tables) -> None:
    provider = f"test-{uuid4().hex[:8]}"
    for model, state in (("a", SpendState.held), ("b", SpendState.held), ("b", SpendState.submitted)):
        await purchased(tables, provider, model, state)
    found = await queues(tables)

    assert found.of_provider(provider) == LivePurchases(held=2, sent=1)
    assert found.of_model(provider, "b") == LivePurchases(held=1, sent=1)


async def test_a_generation_that_buys_nothing_yet_is_ahead(tables: Tables) -> None:
    before = (await queues(tables)).generations_ahead
    await a_generation(tables)
    waiting = (await queues(tables)).generations_ahead
    await purchased(tables, "test", "m", SpendState.submitted)

    assert waiting == before + 1
    assert (await queues(tables)).generations_ahead == waiting


async def test_counting_reads_the_small_indexes_and_no_whole_table(tables: Tables) -> None:
    async with tables.database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("set local enable_seqscan = off"))  # these tables are small: a scan is cheaper
        explained = [
            row[0]
            for statement in live_purchases.statements()
            for row in await connection.execute(text(f"explain {statement.text}"))
        ]
    plan = "\n".join(explained)

    assert "Seq Scan" not in plan
    assert "ix_spend_open" in plan
    assert "ix_generation_live" in plan
