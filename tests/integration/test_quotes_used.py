"""A quote is good for one generation: whoever comes later is told which one that was."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from db import quotes
from db.columns import new_id, now
from db.money_models import QuoteOffer
from errors import NotFound, QuoteUsed
from tests.integration.conftest import Tables


async def a_quote(tables: Tables) -> UUID:
    quote = QuoteOffer(
        tenant_id=tables.tenant_id,
        request_hash="hash",
        min_usd=Decimal(1),
        expected_usd=Decimal(1),
        max_usd=Decimal(1),
        expires_at=now() + timedelta(minutes=1),
    )
    async with tables.database.transaction() as session:
        await quotes.offer(session, quote)
        return quote.id


async def use(tables: Tables, quote_id: UUID, generation_id: UUID) -> None:
    async with tables.database.transaction() as session:
        await quotes.use(session, quote_id, generation_id)


async def test_who_asks_with_a_used_quote_is_told_which_generation_used_it(tables: Tables) -> None:
    quote_id, first = await a_quote(tables), new_id()
    await use(tables, quote_id, first)

    with pytest.raises(QuoteUsed, match=f"the generation {first}") as told:
        async with tables.database.transaction() as session:
            await quotes.valid(session, quote_id, tenant_id=tables.tenant_id, request_hash="hash")
    assert told.value.facts == {"generation_id": str(first)}


async def test_who_is_overtaken_by_another_request_with_its_quote_is_told_so_as_well(tables: Tables) -> None:
    quote_id, first = await a_quote(tables), new_id()

    async with tables.database.transaction() as session:
        await quotes.use(session, quote_id, first)
        second = asyncio.create_task(
            use(tables, quote_id, new_id())
        )  # waits for the first to commit, or comes after it

    with pytest.raises(QuoteUsed, match=f"the generation {first}") as told:
        await second
    assert told.value.facts == {"generation_id": str(first)}


async def test_a_quote_that_was_forgotten_in_this_moment_is_one_that_is_not_there(tables: Tables) -> None:
    with pytest.raises(NotFound, match="no quote"):
        await use(tables, new_id(), new_id())


async def test_a_stranger_is_not_told_which_generation_used_a_quote(tables: Tables) -> None:
    quote_id = await a_quote(tables)
    await use(tables, quote_id, new_id())

    with pytest.raises(NotFound, match="no quote"):
        async with tables.database.transaction() as session:
            await quotes.valid(session, quote_id, tenant_id=new_id(), request_hash="hash")
