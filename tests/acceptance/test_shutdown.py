"""SIGTERM under load: a process ends by itself within 30 seconds, nothing is lost and nothing is bought again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import TextClause, text

from commands.connection import Connection
from commands.http_client import connected
from contracts.statuses import SpendState
from deploy.stack_state import load_secrets
from tests.acceptance.by_hand import asked_to_stop, by_hand, is_ready
from tests.acceptance.client import LONG, PATIENCE_S, Diorama, Json, answered, chain, only_avatar

CHAINS = 60


@asynccontextmanager
async def without(diorama: Diorama, program: str) -> AsyncIterator[None]:
    """The stack's own is down until the test starts it, as the next one, or is over."""
    await diorama.stack.stop_service(program)
    try:
        yield
    finally:
        if diorama.stack.pid(program) is None:
            await diorama.stack.start_service(program)


@pytest.fixture
async def no_worker(diorama: Diorama) -> AsyncIterator[Diorama]:
    """The stack, with room for a worker that the test starts itself."""
    async with without(diorama, "worker"):
        yield diorama


@pytest.fixture
async def no_api(diorama: Diorama) -> AsyncIterator[Diorama]:
    """The stack, with room for an API that the test starts itself."""
    async with without(diorama, "api"):
        yield diorama


async def in_state(diorama: Diorama, state: SpendState, accepted: list[Json]) -> list[int]:
    """How often each of these purchases was taken up (its lease), once all are in this state."""
    query = text("select lease from spend where generation_id = any(:ids) and state = :state")

    async def look() -> list[int]:
        return [int(lease) for (lease,) in await rows(diorama, query, ids=ids_of(accepted), state=state.value)]

    leases: list[int] = await diorama.until(look, lambda seen: len(seen) == len(accepted), within_s=150)
    return leases


def ids_of(accepted: list[Json]) -> list[UUID]:
    return [UUID(one["id"]) for one in accepted]


async def rows(diorama: Diorama, query: TextClause, **values: Any) -> list[Any]:
    """Asked of the database in one question: so many requests at a time would take the servers' processors."""
    async with diorama.database.transaction() as session:
        return list((await (await session.connection()).execute(query, values)).all())


async def charged(diorama: Diorama) -> int:
    """How many pictures the providers have charged for, whoever asked for them."""
    return len((await diorama.sandbox.get("/admin/charges")).json())


async def all_succeed(diorama: Diorama, accepted: list[Json], *, pictures: int) -> None:
    """Every one of them succeeds, and each of the `pictures` was sent for once."""
    query = text("select id from generation where id = any(:ids) and finished_at is null")
    left = partial(rows, diorama, query, ids=ids_of(accepted))
    await diorama.until(left, lambda unfinished: unfinished == [], within_s=150)
    ended = await asyncio.gather(*(diorama.get(one["id"]) for one in accepted))
    spends = [spend for one in accepted for spend in await diorama.spends(one["id"])]

    assert {one["status"] for one in ended} == {"succeeded"}
    assert [spend.sends for spend in spends] == [1] * pictures


async def test_a_worker_that_stops_hands_over_what_it_waits_for_and_the_next_goes_on(no_worker: Diorama) -> None:
    diorama = no_worker
    before = await charged(diorama)
    async with by_hand(diorama.stack, "worker") as worker:
        bodies = [chain(avatar=LONG) for _ in range(CHAINS)]
        accepted = list(await asyncio.gather(*(diorama.post(body) for body in bodies)))
        leases = await in_state(diorama, SpendState.submitted, accepted)

        assert await asked_to_stop(worker) == 0
        assert leases == [1] * CHAINS  # none was taken up twice before
    await diorama.stack.start_service("worker")
    await diorama.wind_sandbox()
    await all_succeed(diorama, accepted, pictures=2 * CHAINS)
    assert await charged(diorama) == before + 2 * CHAINS


async def takes_no_more(diorama: Diorama) -> None:
    """The worker has heard that it is to stop."""
    url = diorama.stack.addresses().worker_health_url
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        await diorama.until(lambda: is_ready(http, url), lambda ready: not ready)


async def test_a_purchase_that_is_on_its_way_is_finished_before_the_worker_ends(no_worker: Diorama) -> None:
    diorama = no_worker
    before = await charged(diorama)
    async with by_hand(diorama.stack, "worker") as worker:
        # A synchronous provider answers with the picture itself: an answer that nobody hears is lost money.
        bodies = [only_avatar(LONG, provider="openai") for _ in range(5)]
        accepted = list(await asyncio.gather(*(diorama.post(body) for body in bodies)))
        await in_state(diorama, SpendState.sent, accepted)

        stopping = asyncio.create_task(asked_to_stop(worker))
        await takes_no_more(diorama)
        await diorama.wind_sandbox()
        assert await stopping == 0
        await in_state(diorama, SpendState.submitted, accepted)
    await diorama.stack.start_service("worker")
    await all_succeed(diorama, accepted, pictures=5)
    assert await charged(diorama) == before + 5


async def accepted_under(diorama: Diorama, tag: str) -> list[Json]:
    page = await answered(lambda: diorama.http.get("/v1/generations", params={"tag": tag, "limit": 100}))
    found: list[Json] = page.json()["items"]
    return found


async def waiting_for_its_end(diorama: Diorama, tag: str) -> httpx.Response:
    body = only_avatar(LONG, tags=[tag])
    headers = {"Prefer": "wait=60", "Idempotency-Key": uuid4().hex}
    return await answered(lambda: diorama.http.post("/v1/generations", json=body, headers=headers, timeout=90))


async def insisting(diorama: Diorama, tag: str, key: str) -> Json:
    """Accepted under this key, however often the server is not there to say so."""
    while True:
        try:
            response = await answered(
                lambda: diorama.http.post(
                    "/v1/generations", json=only_avatar(tags=[tag]), headers={"Idempotency-Key": key}
                )
            )
        except httpx.TransportError:
            await asyncio.sleep(0.1)
        else:
            assert response.status_code == 202, response.text
            answer: Json = response.json()
            return answer


async def follow(diorama: Diorama, generation_id: str, seen: list[int]) -> None:
    """Gather the numbers of all events up to the final one, over as many connections as it takes."""
    secrets = load_secrets(diorama.stack.root)
    assert secrets is not None
    connection = Connection(diorama.stack.addresses().api_url, secrets.bootstrap_api_key)
    async with connected(connection) as client, aclosing(client.follow(generation_id)) as events:
        async for event in events:
            seen += [event.seq]


async def test_an_api_that_stops_lets_go_of_its_clients_and_the_next_serves_them_on(no_api: Diorama) -> None:
    diorama, tag = no_api, "api-stops"
    before = await charged(diorama)
    async with by_hand(diorama.stack, "api") as api:
        followed = [await diorama.post(only_avatar(LONG, tags=[tag])) for _ in range(10)]
        followers = [(one["id"], list[int]()) for one in followed for _ in range(6)]
        following = [asyncio.create_task(follow(diorama, *follower)) for follower in followers]
        waiting = [asyncio.create_task(waiting_for_its_end(diorama, tag)) for _ in range(20)]
        await diorama.until(lambda: accepted_under(diorama, tag), lambda seen: len(seen) == 30)
        # Who was never answered does not wait for a server that is away.
        await diorama.until(lambda: asyncio.sleep(0, [seen for _, seen in followers]), all)
        late = [asyncio.create_task(insisting(diorama, tag, f"{tag}-{number}")) for number in range(20)]

        assert await asked_to_stop(api) == 0
        held = await asyncio.gather(*waiting)
        assert {(answer.status_code, answer.json()["status"]) for answer in held} <= {(202, "queued"), (202, "running")}
    await diorama.stack.start_service("api")
    await diorama.wind_sandbox()
    accepted = {one["id"]: one for one in await asyncio.gather(*late)}
    accepted |= {one["id"]: one for one in [*followed, *(answer.json() for answer in held)]}
    assert {one["id"] for one in await accepted_under(diorama, tag)} == set(accepted)
    await all_succeed(diorama, list(accepted.values()), pictures=50)
    await asyncio.gather(*following)
    for _, numbers in followers:
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert await charged(diorama) == before + 50
    diorama.started[:] = accepted
