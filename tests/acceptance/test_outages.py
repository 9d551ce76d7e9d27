"""Each server of the whole stack away while work is in flight: what clients see meanwhile, and that it all ends well.

docs/outages.md is the table of it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from contracts.statuses import Billed, SpendState
from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from tests.acceptance.client import LONG, Diorama, Json, answered, chain, only_avatar
from tests.acceptance.small_store import full_store, make_room

# Only ends a broken test: each answer has to come by itself long before.
HANGS_S = 60
OUTAGE_S = 5  # of PostgreSQL or the engine: longer than any single time limit of the processes that wait for them


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[LocalStack]:
    """A stack of its own: nobody else's tests live through these outages."""
    settings = {"DIORAMA_FULL_STORE_PATIENCE_S": "1", "DIORAMA_PICTURE_HEARTBEAT_S": "6"}
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3, settings=settings)
    async with LocalStack(tmp_path_factory.mktemp("outages"), options=options, spawn=spawn) as stack:
        yield stack


@contextmanager
def paused(stack: LocalStack, name: str) -> Iterator[None]:
    stack.pause(name)
    try:
        yield
    finally:
        stack.resume(name)


async def told_to_come_again(asked: Awaitable[httpx.Response], code: str) -> None:
    async with asyncio.timeout(HANGS_S):
        answer = await asked
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) > 0


async def succeeded_once(diorama: Diorama, accepted: Json, *, pictures: int) -> None:
    seen = await diorama.ended(accepted["id"], within_s=150)
    assert seen["status"] == "succeeded", seen["error"]
    assert len(await diorama.charges(accepted["id"])) == pictures


async def follow(diorama: Diorama, generation_id: str, seen: list[int]) -> None:
    """Gather the numbers of all events that one stream brings, from the first to the last."""
    headers = {"Last-Event-ID": "0"}
    path = f"/v1/generations/{generation_id}/events"
    async with diorama.http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            seen += [int(line.removeprefix("id: "))] if line.startswith("id: ") else []


async def test_reading_and_accepting_go_on_while_engine_provider_and_store_are_away(diorama: Diorama) -> None:
    before = await diorama.post(only_avatar())
    (picture,) = (await diorama.ended(before["id"]))["pictures"]
    for name in ("temporal", "sandbox", "store"):
        await diorama.stack.kill(name)
    try:
        accepted = await diorama.post(only_avatar())
        paths = (f"/v1/generations/{before['id']}", "/v1/generations", picture["links"]["self"], "/v1/themes")
        answers = [(await diorama.http.get(path)).status_code for path in paths]
        link = await diorama.http.get(picture["links"]["download"])
        await told_to_come_again(diorama.http.get(picture["links"]["content"]), "storage_unavailable")
        # Busy machines may be late with an answer of a server that is there: that counts as away until it is asked again.
        ready = await diorama.until(lambda: diorama.http.get("/readyz"), lambda told: told.json()["database"])
        waiting = await diorama.get(accepted["id"])
    finally:
        for name in ("temporal", "sandbox", "store"):
            await diorama.stack.start_service(name)

    assert answers == [200] * len(paths)
    assert link.status_code == 307
    assert (ready.status_code, ready.json()["database"], ready.json()["store"]) == (503, True, False)
    assert waiting["status"] == "queued"
    await succeeded_once(diorama, accepted, pictures=1)
    assert len(await diorama.bytes_of(picture)) == picture["size_bytes"]


async def test_a_store_that_is_silent_is_told_of_within_seconds_and_the_picture_comes_later(diorama: Diorama) -> None:
    before = await diorama.post(only_avatar())
    (picture,) = (await diorama.ended(before["id"]))["pictures"]
    accepted = await diorama.post(only_avatar(LONG))
    await diorama.bought(accepted["id"])
    with paused(diorama.stack, "store"):
        await diorama.wind_sandbox()
        await told_to_come_again(diorama.http.get(picture["links"]["content"]), "storage_unavailable")
        assert (await diorama.get(before["id"]))["status"] == "succeeded"

    await succeeded_once(diorama, accepted, pictures=1)


async def test_work_and_followers_outlive_a_database_that_falls_silent_and_dies_three_times(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene=LONG))
    await diorama.bought(accepted["id"], "scene")
    seen: list[int] = []
    following = asyncio.create_task(follow(diorama, accepted["id"], seen))
    await diorama.until(lambda: asyncio.sleep(0, len(seen)), bool)
    path = f"/v1/generations/{accepted['id']}"
    with paused(diorama.stack, "postgres"):
        await diorama.wind_sandbox()
        await told_to_come_again(diorama.http.get(path), "database_unavailable")
        await told_to_come_again(diorama.http.post("/v1/generations", json=only_avatar()), "database_unavailable")
    for _ in range(3):
        await diorama.stack.kill("postgres")
        await told_to_come_again(diorama.http.get(path), "database_unavailable")
        await diorama.stack.start_service("postgres")
        assert (await answered(lambda: diorama.http.get(path))).status_code == 200

    await succeeded_once(diorama, accepted, pictures=2)
    await following
    assert seen == list(range(1, len(seen) + 1))


async def test_an_engine_that_dies_with_work_in_flight_goes_on_with_it(diorama: Diorama) -> None:
    asked = [only_avatar(LONG), chain(scene="[[sandbox duration=2]]"), chain()]
    accepted = [await diorama.post(body) for body in asked]
    await diorama.bought(accepted[0]["id"])
    await diorama.stack.kill("temporal")
    await diorama.wind_sandbox()
    later = await diorama.post(only_avatar())
    await asyncio.sleep(OUTAGE_S)  # the outage itself: pictures are ready, and nobody can be told
    await diorama.stack.start_service("temporal")

    for one, pictures in zip([*accepted, later], (1, 2, 2, 1), strict=True):
        await succeeded_once(diorama, one, pictures=pictures)


async def test_a_provider_that_dies_while_it_works_is_asked_again_and_not_paid_again(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(avatar=LONG))
    await diorama.bought(accepted["id"])
    await diorama.stack.kill("sandbox")
    unbought = await diorama.post(only_avatar())  # nobody can sell it now
    await diorama.until(lambda: diorama.get(unbought["id"]), lambda seen: seen["status"] == "running")
    await asyncio.sleep(OUTAGE_S)  # the outage itself
    await diorama.stack.start_service("sandbox")
    await diorama.wind_sandbox()

    await succeeded_once(diorama, accepted, pictures=2)
    await succeeded_once(diorama, unbought, pictures=1)


async def test_a_synchronous_answer_outlives_a_store_that_dies_meanwhile(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox duration=2]]", provider="openai"))
    await diorama.until(lambda: diorama.spends(accepted["id"]), _is_sent)
    await diorama.stack.kill("store")
    await diorama.until(lambda: diorama.charges(accepted["id"]), lambda charges: len(charges) == 1)
    await diorama.stack.start_service("store")

    await succeeded_once(diorama, accepted, pictures=1)


async def test_nothing_is_bought_from_a_synchronous_provider_while_the_store_is_away(diorama: Diorama) -> None:
    await diorama.stack.kill("store")
    accepted = await diorama.post(only_avatar(provider="openai"))
    hopeless = await diorama.post(only_avatar(provider="openai", deadline_s=12))
    seen = await diorama.ended(hopeless["id"], within_s=150)
    await diorama.stack.start_service("store")

    assert (seen["status"], seen["error"]["code"]) == ("failed", "storage_unavailable")
    assert Decimal(seen["cost_usd"]) == 0
    await succeeded_once(diorama, accepted, pictures=1)


async def test_a_full_store_fails_what_is_out_of_time_and_keeps_the_rest_waiting_for_room(diorama: Diorama) -> None:
    async with full_store(diorama.stack, diorama.storage):
        hopeful = await diorama.post(only_avatar())
        hopeless = await diorama.post(only_avatar(deadline_s=12))
        failed = await diorama.ended(hopeless["id"], within_s=150)
        # By now the workers know that the store is full.
        waiting = await diorama.post(only_avatar(provider="openai"))
        refused = await diorama.post(only_avatar(provider="openai", deadline_s=12))
        unbought = await diorama.ended(refused["id"], within_s=150)

        assert [(one["status"], one["error"]["code"]) for one in (failed, unbought)] == [("failed", "storage_full")] * 2
        assert (await diorama.get(hopeful["id"]))["status"] == "running"
        assert await diorama.charges(waiting["id"]) == await diorama.charges(refused["id"]) == []
        await make_room(diorama.storage)
        await succeeded_once(diorama, hopeful, pictures=1)
        await succeeded_once(diorama, waiting, pictures=1)
    (spend,) = await diorama.spends(hopeless["id"])
    (charge,) = await diorama.charges(hopeless["id"])
    assert (spend.state, spend.billed, spend.error_code) == (SpendState.settled, Billed.yes, "storage_full")
    assert charge["correlation"] == spend.token


async def test_api_and_worker_that_start_before_their_servers_wait_for_them(diorama: Diorama) -> None:
    stack = diorama.stack
    servers = ("temporal", "postgres", "store")
    for name in ("api", "worker", *servers):
        await stack.kill(name)
    starting = [asyncio.create_task(stack.start_service(name)) for name in ("api", "worker")]
    health = stack.addresses().worker_health_url
    await diorama.until(lambda: _http_status(health), lambda status: status == 503)
    await diorama.until(lambda: _http_status(f"{stack.addresses().api_url}/readyz"), lambda status: status == 503)
    for name in servers:
        await stack.start_service(name)
    await asyncio.gather(*starting)

    await succeeded_once(diorama, await diorama.post(chain()), pictures=2)


async def _http_status(url: str) -> int:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(url)).status_code
        except httpx.TransportError:
            return 0


def _is_sent(spends: list[Any]) -> bool:
    return any(spend.state is not SpendState.held for spend in spends)
