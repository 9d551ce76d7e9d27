"""Lanes in a real database: what operators decide, once and audited, and a limit that any number of workers share."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from contracts.lanes import LaneAction
from contracts.names import CHANNEL_STANDING
from contracts.standing import LaneMode
from db import keys, lanes, standings
from db.columns import now
from db.lanes import Decision
from db.listener import Listener
from db.operation_models import OperatorAction
from db.standing_models import Lane, ProviderEvent
from tests.integration.conftest import Tables


@pytest.fixture
def provider() -> str:
    """A provider of this test's own."""
    return f"test-{uuid4().hex[:8]}"


@pytest.fixture
async def operator(tables: Tables) -> str:
    key = keys.new_key()
    async with tables.database.transaction() as session:
        await keys.ensure_key(session, key, pepper="pepper", tenant_name=key, operator=True)
    return key.split("_")[1]


async def limited(tables: Tables, operator: str, provider: str, creates_per_minute: int | None) -> None:
    async with tables.database.transaction() as session:
        decision = Decision(operator, provider, "m", f"to {creates_per_minute}")
        await lanes.set_limit(session, decision, creates_per_minute)


async def take(tables: Tables, provider: str) -> float:
    async with tables.database.transaction() as session:
        return await lanes.take(session, provider, "m")


async def shift(tables: Tables, provider: str, seconds: float) -> None:
    """As if so much time had passed."""
    async with tables.database.transaction() as session:
        earlier = col(Lane.next_create_at) - timedelta(seconds=seconds)
        await session.exec(update(Lane).where(col(Lane.provider) == provider).values(next_create_at=earlier))


async def test_a_decision_is_a_row_an_action_and_an_event(tables: Tables, operator: str, provider: str) -> None:
    async with tables.database.transaction() as session:
        lane = await lanes.set_mode(session, Decision(operator, provider, "m", "elevated errors"), LaneAction.pause)
        (action,) = (await session.exec(select(OperatorAction).where(OperatorAction.key_id == operator))).all()
        (event,) = await lanes.events(session, provider=provider, before=None, limit=10)
        known = await standings.read(session)

    assert (lane.mode, lane.note, lane.changed_by) == (LaneMode.paused, "elevated errors", operator)
    assert (action.action, action.note) == ("lane.paused", "elevated errors")
    assert action.facts == {"provider": provider, "model": "m", "mode": "paused", "before": "active"}
    assert (event.type, event.model, event.data) == ("lane.paused", "m", {"mode": "paused", "before": "active"})
    assert known.of(provider, "m").mode is LaneMode.paused
    assert known.of(provider).mode is LaneMode.active


async def test_the_same_decision_again_changes_nothing(tables: Tables, operator: str, provider: str) -> None:
    for _ in range(2):
        await limited(tables, operator, provider, 5)
    async with tables.database.transaction() as session:
        for _ in range(2):
            await lanes.set_mode(session, Decision(operator, provider, "m", "enough"), LaneAction.drain)
        found = await lanes.events(session, provider=provider, before=None, limit=10)

    assert [event.type for event in found] == ["lane.draining", "lane.limited"]


async def test_a_decision_wakes_the_workers(tables: Tables, operator: str, provider: str) -> None:
    listener = Listener(tables.url, (CHANNEL_STANDING,))
    async with listener.listening():
        with listener.subscribe(CHANNEL_STANDING, "nobody") as ready:
            await asyncio.wait_for(ready.wait(), 120)  # everybody is woken once, when the listener has begun
        with listener.subscribe(CHANNEL_STANDING, provider) as woken:
            await limited(tables, operator, provider, 5)
            await asyncio.wait_for(woken.wait(), 120)


async def test_a_lane_without_a_limit_never_waits(tables: Tables, operator: str, provider: str) -> None:
    unknown = await take(tables, provider)
    await limited(tables, operator, provider, 5)
    await limited(tables, operator, provider, None)

    assert [unknown, await take(tables, provider), await take(tables, provider)] == [0.0, 0.0, 0.0]


async def test_a_limit_lets_one_through_and_then_the_next_when_its_time_has_come(
    tables: Tables, operator: str, provider: str
) -> None:
    await limited(tables, operator, provider, 1)
    first, second = await take(tables, provider), await take(tables, provider)
    await shift(tables, provider, 60)
    third, fourth = await take(tables, provider), await take(tables, provider)

    assert (first, third) == (0.0, 0.0)
    assert second == fourth == lanes.LONGEST_WAIT_S


async def test_a_limit_lets_through_at_once_what_belongs_to_a_second(
    tables: Tables, operator: str, provider: str
) -> None:
    await limited(tables, operator, provider, 120)
    taken = await asyncio.gather(*(take(tables, provider) for _ in range(40)))
    async with tables.database.transaction() as session:
        lane = await session.get_one(Lane, (provider, "m"))
        ahead_s = (lane.next_create_at - now()).total_seconds() if lane.next_create_at else 0.0

    # However long the forty took, nothing was taken that does not lie within the second ahead.
    assert 2 <= taken.count(0.0) < 40
    assert ahead_s <= lanes.BURST_S
    assert all(lanes.SHORTEST_WAIT_S <= wait <= lanes.LONGEST_WAIT_S for wait in taken if wait)


async def test_of_many_workers_that_take_at_once_only_as_many_as_the_limit_get_through(
    tables: Tables, operator: str, provider: str
) -> None:
    await limited(tables, operator, provider, 1)
    taken = await asyncio.gather(*(take(tables, provider) for _ in range(20)))

    assert taken.count(0.0) == 1


async def test_a_new_limit_does_not_inherit_the_waits_of_the_old_one(
    tables: Tables, operator: str, provider: str
) -> None:
    await limited(tables, operator, provider, 1)
    await take(tables, provider)
    held_up = await take(tables, provider)
    await limited(tables, operator, provider, 2)

    assert held_up > 0
    assert await take(tables, provider) == 0.0


async def test_events_are_counted_by_kind_and_lane(tables: Tables, operator: str, provider: str) -> None:
    begun = now()
    await limited(tables, operator, provider, 5)
    await limited(tables, operator, provider, 6)
    async with tables.database.transaction() as session:
        session.add(ProviderEvent(provider=provider, type="breaker.opened", data={}))
        await session.flush()
        counted = await lanes.count_events(session, since=begun, until=now())
        later = await lanes.count_events(session, since=now(), until=now() + timedelta(seconds=1))

    assert counted["lane.limited", provider, "m"] == 2
    assert counted["breaker.opened", provider, ""] == 1
    assert provider not in {key[1] for key in later}
