"""A provider that dies under load, and one that becomes slow: all pictures are made elsewhere, and each is paid once."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from sqlmodel import col, select

from contracts.standing import BreakerState
from db import standings
from db.breaker_rule import RULES
from db.models import Event
from db.standing_models import ProviderEvent
from providers.choosing import FAR_ABOVE, FEWEST_SAMPLES
from tests.acceptance.client import Diorama, only_avatar

IN_FLIGHT = 100


async def breaker(diorama: Diorama) -> BreakerState:
    async with diorama.database.statement() as session:
        return (await standings.read(session)).of("replicate").breaker


async def events_of(diorama: Diorama, provider: str) -> list[str]:
    async with diorama.database.transaction() as session:
        query = select(ProviderEvent.type).where(ProviderEvent.provider == provider).order_by(col(ProviderEvent.id))
        return list((await session.exec(query)).all())


async def failovers(diorama: Diorama) -> list[dict[str, Any]]:
    async with diorama.database.transaction() as session:
        query = select(Event.data).where(
            col(Event.generation_id).in_(diorama.started), Event.type == "picture.failover"
        )
        return [dict(data) for data in (await session.exec(query)).all()]


async def buys_from(diorama: Diorama, accepted: dict[str, Any]) -> str:
    spends = await diorama.until(lambda: diorama.spends(accepted["id"]), bool)
    return str(spends[0].provider)


async def made_by(diorama: Diorama, generation_id: str) -> str:
    ended = await diorama.ended(generation_id, within_s=150)
    assert ended["status"] == "succeeded", ended["error"]
    (picture,) = ended["pictures"]
    return str(picture["provider"])


@pytest.mark.timeout(400)
async def test_when_a_provider_dies_under_load_all_pictures_are_made_elsewhere_and_paid_once(
    diorama: Diorama,
) -> None:
    before = len(await events_of(diorama, "replicate"))
    accepted = [await diorama.post(only_avatar()) for _ in range(IN_FLIGHT // 2)]
    await diorama.fault("insufficient_credit", provider="replicate", operation="create")
    accepted += [await diorama.post(only_avatar()) for _ in range(IN_FLIGHT // 2)]
    makers = Counter(await asyncio.gather(*(made_by(diorama, one["id"]) for one in accepted)))
    opened = await events_of(diorama, "replicate")

    assert makers["openai"] >= IN_FLIGHT // 2
    assert opened[before] == "breaker.opened"
    assert {one["why"] for one in await failovers(diorama)} <= {"provider_quota", "circuit_open"}
    for one in accepted:
        assert len(await diorama.charges(one["id"])) == 1

    (await diorama.sandbox.delete("/admin/faults")).raise_for_status()
    await diorama.until(lambda: _one_more(diorama), lambda state: state is BreakerState.closed, within_s=150)


async def _one_more(diorama: Diorama) -> BreakerState:
    """By name: the few that it made under load may have been so slow that nobody who leaves it open is sent there yet."""
    assert await made_by(diorama, (await diorama.post(only_avatar(provider="replicate")))["id"]) == "replicate"
    return await breaker(diorama)


async def tries(diorama: Diorama) -> int:
    """How many purchases Replicate was ever asked for."""
    journal: dict[str, str | int] = {"provider": "replicate", "operation": "create", "limit": 100_000}
    return len((await diorama.sandbox.get("/admin/journal", params=journal)).raise_for_status().json())


async def failures(diorama: Diorama) -> int:
    async with diorama.database.statement() as session:
        return (await standings.read(session)).of("replicate").traffic.failures


@pytest.mark.timeout(300)
async def test_when_a_provider_cannot_be_reached_no_more_than_a_few_purchases_are_tried_there(
    diorama: Diorama,
) -> None:
    tried, told = await tries(diorama), len(await events_of(diorama, "replicate"))
    await diorama.fault("reset_before_accept", provider="replicate", operation="create")
    accepted: list[dict[str, Any]] = []
    while await breaker(diorama) is BreakerState.closed:
        assert len(accepted) < RULES.failures
        accepted.append(await diorama.post(only_avatar()))
        await diorama.until(lambda: failures(diorama), lambda count: count >= len(accepted))
    accepted += [await diorama.post(only_avatar()) for _ in range(20)]
    makers = Counter(await asyncio.gather(*(made_by(diorama, one["id"]) for one in accepted)))
    half_opened = (await events_of(diorama, "replicate"))[told:].count("breaker.half_opened")

    assert makers == {"openai": len(accepted)}
    assert await tries(diorama) - tried <= RULES.failures + half_opened * RULES.trials
    for one in accepted:
        assert len(await diorama.charges(one["id"])) == 1


async def slowest_s(diorama: Diorama, provider: str) -> float:
    """How long the slowest of enough pictures takes there, one after another: seconds that this machine can do."""
    taken: list[float] = []
    for _ in range(FEWEST_SAMPLES + 1):
        begin = time.monotonic()
        assert await made_by(diorama, (await diorama.post(only_avatar(provider=provider)))["id"]) == provider
        taken.append(time.monotonic() - begin)
    return max(taken)


@pytest.mark.timeout(300)
async def test_when_a_provider_becomes_slow_new_pictures_go_elsewhere_within_a_minute(diorama: Diorama) -> None:
    usual_s = max(await asyncio.gather(*(slowest_s(diorama, name) for name in ("replicate", "openai"))))
    await diorama.fault("slow_start", provider="replicate", params={"seconds": max(3, FAR_ABOVE * 1.5 * usual_s)})
    accepted: list[dict[str, Any]] = []
    async with asyncio.timeout(150):
        while not accepted or await buys_from(diorama, accepted[-1]) == "replicate":
            accepted.append(await diorama.post(only_avatar()))
            await asyncio.sleep(0.3)
    makers = Counter(await asyncio.gather(*(made_by(diorama, one["id"]) for one in accepted)))

    assert makers["openai"] == 1
    for one in accepted:
        assert len(await diorama.spends(one["id"])) == 1
