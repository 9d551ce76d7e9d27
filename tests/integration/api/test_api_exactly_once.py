"""One of everything: one row for one key however many ask at once, each event once however often a client is cut off."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from contracts.names import workflow_id
from db import events
from storage.memory import MemoryStorage
from tests.integration.api.running_api import (
    AVATAR,
    CHAIN,
    RunningApi,
    Tenant,
    eventually,
    new_tenant,
    running_api,
    settings_for,
)
from tests.integration.patience import HTTP_S

FINAL = "generation.succeeded"
Seen = tuple[int, str]
Visit = Callable[[Tenant, str, int, int], Coroutine[Any, Any, list[Seen]]]


@asynccontextmanager
async def replica(database_url: str, engine: WorkflowEnvironment) -> AsyncIterator[RunningApi]:
    """Another API over the same database."""
    address = engine.client.service_client.config.target_host
    async with running_api(settings_for(database_url, address), MemoryStorage()) as running:
        yield running


async def post(url: str, tenant: Tenant, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": key}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=HTTP_S) as client:
        return await client.post("/v1/generations", json=body)


async def started(tenant: Tenant, generation_id: str) -> None:
    """The engine has it, from whichever replica."""
    query = "select 1 from generation where id = :id and dispatched_at is not null"
    await eventually(lambda: tenant.api.ask(query, id=UUID(generation_id)))


async def test_fifty_requests_with_one_key_over_two_replicas_are_one_generation(
    tenant: Tenant, api: RunningApi, api_database_url: str, engine: WorkflowEnvironment
) -> None:
    key = f"key-{uuid4()}"
    async with replica(api_database_url, engine) as other:
        urls = [api.url, other.url] * 25
        answers = await asyncio.gather(*(post(url, tenant, AVATAR, key) for url in urls))

    first_of_all = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
    accepted = answers[0].json()
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json() == accepted for answer in answers)
    assert len(first_of_all) == 1
    assert (await tenant.counts())["generation"] == 1
    await started(tenant, accepted["id"])
    described = await engine.client.get_workflow_handle(workflow_id(UUID(accepted["id"]))).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING


async def test_of_different_requests_with_one_key_one_is_accepted_and_the_others_are_refused(
    tenant: Tenant, api: RunningApi
) -> None:
    key = f"key-{uuid4()}"
    bodies = [{**CHAIN, "tags": [f"number-{number % 5}"]} for number in range(25)]
    answers = await asyncio.gather(*(post(api.url, tenant, body, key) for body in bodies))

    counted = Counter(answer.status_code for answer in answers)
    assert counted == {202: 5, 422: 20}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"idempotency_key_reused"}
    assert (await tenant.counts())["generation"] == 1


async def test_the_answer_to_a_key_stays_the_same_when_the_generation_has_moved_on(
    tenant: Tenant, api: RunningApi
) -> None:
    key = f"key-{uuid4()}"
    before = await post(api.url, tenant, AVATAR, key)
    await tenant.finish(before.json()["id"], "failed")
    after = await post(api.url, tenant, AVATAR, key)

    assert (after.status_code, after.json()) == (202, before.json())
    assert after.headers["idempotent-replayed"] == "true"


async def by_sse(tenant: Tenant, generation_id: str, last: int, enough: int) -> list[Seen]:
    """Up to `enough` events behind number `last`, then hang up."""
    seen: list[Seen] = []
    headers = {"Last-Event-ID": str(last)}
    async with tenant.client.stream("GET", f"/v1/generations/{generation_id}/events", headers=headers) as answer:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            fields[name] = value
            if not line and "event" in fields:
                seen.append((int(fields["id"]), fields["event"]))
                fields = {}
                if len(seen) == enough:
                    break
    return seen


async def by_websocket(tenant: Tenant, generation_id: str, last: int, enough: int) -> list[Seen]:
    """Up to `enough` events behind number `last`, then hang up."""
    seen: list[Seen] = []
    url = f"{tenant.api.url.replace('http', 'ws', 1)}/v1/generations/{generation_id}/ws?last_event_id={last}"
    headers = {"Authorization": f"Bearer {tenant.key}"}
    async with connect(url, additional_headers=headers, open_timeout=HTTP_S) as websocket:
        try:
            while len(seen) < enough:
                frame = json.loads(await websocket.recv())
                seen.append((frame["seq"], frame["type"]))
        except ConnectionClosed:
            pass
    return seen


WAYS = pytest.mark.parametrize("visit", [by_sse, by_websocket])


async def followed(tenant: Tenant, generation_id: str, visit: Visit, luck: random.Random) -> list[Seen]:
    """All that a client sees that is cut off after every few events, and comes back each time with the last it has."""
    seen: list[Seen] = []
    while not seen or seen[-1][1] != FINAL:
        last = seen[-1][0] if seen else 0
        seen += await visit(tenant, generation_id, last, luck.randint(1, 4))
    return seen


async def written(tenant: Tenant, generation_id: str, count: int, luck: random.Random) -> None:
    """Events in bursts, then the end."""
    while count > 0:
        burst = min(count, luck.randint(1, 5))
        async with tenant.api.database.transaction() as session:
            for _ in range(burst):
                await events.append(session, UUID(generation_id), "picture.progress", {})
        count -= burst
        await asyncio.sleep(luck.uniform(0, 0.02))
    await tenant.finish(generation_id, "succeeded")


@WAYS
@pytest.mark.parametrize("seed", range(6))
async def test_a_client_that_is_cut_off_at_random_sees_each_event_once_and_in_order(
    tenant: Tenant, visit: Visit, seed: int
) -> None:
    luck = random.Random(seed)
    accepted = await tenant.accept(AVATAR)
    clients = [followed(tenant, accepted["id"], visit, random.Random(luck.random())) for _ in range(4)]
    with capture_logs() as logs:
        seen, _ = await asyncio.gather(asyncio.gather(*clients), written(tenant, accepted["id"], 30, luck))

    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == []
    assert [[seq for seq, _ in one] for one in seen] == [[*range(1, 33)]] * 4


@WAYS
async def test_a_client_sees_each_event_once_although_the_api_is_replaced_again_and_again(
    tenant: Tenant, visit: Visit, api_database_url: str, engine: WorkflowEnvironment
) -> None:
    accepted = await tenant.accept(AVATAR)
    seen: list[Seen] = []
    for _ in range(4):
        async with (
            replica(api_database_url, engine) as fresh,
            httpx.AsyncClient(base_url=fresh.url, headers=tenant.client.headers, timeout=HTTP_S) as client,
        ):
            here = Tenant(tenant.id, tenant.key, client, fresh)
            following = asyncio.create_task(visit(here, accepted["id"], seen[-1][0] if seen else 0, 100))
            for _ in range(3):
                await tenant.tell(accepted["id"], "picture.progress")
            fresh.server.should_exit = True
            seen += await following
    await tenant.finish(accepted["id"], "succeeded")
    seen += await visit(tenant, accepted["id"], seen[-1][0] if seen else 0, 100)

    assert [seq for seq, _ in seen] == list(range(1, 15))


@WAYS
async def test_a_client_that_has_seen_the_end_is_told_nothing_more(tenant: Tenant, visit: Visit) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "succeeded")
    ((last, kind),) = await visit(tenant, accepted["id"], 1, 100)

    assert (last, kind) == (2, FINAL)
    assert await visit(tenant, accepted["id"], last, 100) == []


async def test_the_answer_that_there_is_nothing_more_has_no_body_for_a_client_to_wait_for(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "succeeded")
    path = f"/v1/generations/{accepted['id']}/events"
    answer = await tenant.client.get(path, headers={"Last-Event-ID": "2"})

    assert answer.status_code == 204
    assert {"content-length", "content-type"} & set(answer.headers) == set()


@WAYS
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(known=st.integers(0, 2**31 - 1))
async def test_whatever_number_a_client_names_it_gets_what_came_after_it(
    api: RunningApi, visit: Visit, known: int
) -> None:
    async with new_tenant(api) as tenant:
        accepted = await tenant.accept(AVATAR)
        for _ in range(3):
            await tenant.tell(accepted["id"], "picture.progress")
        await tenant.finish(accepted["id"], "succeeded")
        seen = await visit(tenant, accepted["id"], known, 100)

    assert [seq for seq, _ in seen] == [seq for seq in range(1, 6) if seq > known]


async def test_a_generation_that_was_accepted_is_started_by_another_replica_when_the_first_one_is_gone(
    tenant: Tenant, api_database_url: str, engine: WorkflowEnvironment
) -> None:
    async with running_api(settings_for(api_database_url, "127.0.0.1:9"), MemoryStorage()) as cut_off:
        accepted = (await post(cut_off.url, tenant, AVATAR, "the-key")).json()

    await started(tenant, accepted["id"])
    described = await engine.client.get_workflow_handle(workflow_id(UUID(accepted["id"]))).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING
