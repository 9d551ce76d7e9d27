"""Whoever writes to the standings takes the rows in one order: two at the same time wait for each other, and never for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from db import breakers, lanes, traffic
from db.columns import now
from db.prepared import run
from db.standing_models import Breaker, Lane
from db.traffic import Fault, Tally
from tests.integration.conftest import Tables

Write = Callable[[AsyncSession, str], Awaitable[object]]


async def tallies(session: AsyncSession, provider: str) -> None:
    await traffic.record_tallies(session, {(provider, "m"): Tally(successes=1, took=[1.0])})


async def fault_of_the_model(session: AsyncSession, provider: str) -> None:
    await traffic.record_fault(session, Fault(provider, "m", "model_failed"))


async def fault_of_the_provider(session: AsyncSession, provider: str) -> None:
    await traffic.record_fault(session, Fault(provider, "", "provider_unreachable"))


async def busy(session: AsyncSession, provider: str) -> None:
    await traffic.record_busy(session, provider, "m", now() + timedelta(seconds=5), ends_trial=True)


async def end(session: AsyncSession, provider: str) -> None:
    await breakers.record_end(session, provider, "m")


async def trial(session: AsyncSession, provider: str) -> None:
    await breakers.take_trial(session, provider, "m")
    await lanes.take(session, provider, "m")


async def claim(session: AsyncSession, provider: str) -> None:
    await breakers.claim_probes(session, [provider])


WRITES: tuple[Write, ...] = (busy, tallies, fault_of_the_model, claim, fault_of_the_provider, end, trial)
LOCKS = {
    "traffic": "select from traffic where provider = :provider and model = :model for update",
    "busy": "select from busy where provider = :provider for update",
    "breaker": "select from breaker where provider = :provider and model = :model for update",
}


async def prepared(tables: Tables, state: str) -> str:
    """A provider with a row of each kind; its breakers are in such a state."""
    provider = f"test-{uuid4().hex[:8]}"
    async with tables.database.transaction() as session:
        session.add(Lane(provider=provider, model="m", creates_per_minute=60))
        await traffic.record_tallies(session, {(provider, "m"): Tally(successes=1, took=[1.0])})
        await traffic.record_busy(session, provider, "m", now())
        for model in ("m", ""):  # not as they are sorted
            await traffic.record_fault(session, Fault(provider, model, "provider_unreachable", at_once=True))
    async with tables.database.transaction() as session:
        due = update(Breaker).where(col(Breaker.provider) == provider)
        await session.exec(due.values(retry_at=now() - timedelta(seconds=1)))
        for model in {"model half open": ["m"], "half open": ["m", ""]}.get(state, []):
            await breakers.record_probe(session, (provider, model), well=True)
    return provider


async def write(tables: Tables, provider: str, how: Write) -> None:
    async with tables.database.transaction() as session:
        await how(session, provider)


async def side_by_side(tables: Tables, provider: str, lock: str, model: str, writes: Sequence[Write]) -> None:
    """All begin while somebody else has one of the rows, each when the one before it waits for a row, or is done."""
    async with asyncio.TaskGroup() as group, tables.database.transaction() as session:
        await run(session, text(LOCKS[lock]), {"provider": provider, "model": model})
        for how in writes:
            task = group.create_task(write(tables, provider, how))
            await asyncio.wait({task}, timeout=0.02)


@pytest.mark.parametrize("state", ["open", "model half open", "half open"])
@pytest.mark.parametrize(("lock", "model"), [(lock, model) for lock in LOCKS for model in ("", "m")])
async def test_writers_side_by_side_wait_for_each_other_and_all_end(
    tables: Tables, state: str, lock: str, model: str
) -> None:
    for writes in (WRITES, tuple(reversed(WRITES))):
        await side_by_side(tables, await prepared(tables, state), lock, model, writes)
