"""One key is one generation, one workflow and one charge a picture, wherever the API is killed; events come once each."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from temporalio.client import Client
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from deploy.leftovers import ROOT_MARK
from deploy.local import LocalStack
from deploy.process import Launch, StackProcess
from deploy.programs import PYTHON
from deploy.python_path import PYTHON_PATH
from deploy.stack_ports import find_free_port
from temporal_client import connect
from tests.acceptance.client import LONG, PATIENCE_S, Diorama, Json, answered, chain, only_avatar
from tests.crash.boundaries import MOMENTS, Boundary
from tests.crash.points import ArmedPoints

BETWEEN_ROW_AND_ANSWER = [
    Boundary("api", effect, moment)
    for effect in ("generation.accept", "workflow.start", "generation.dispatched")
    for moment in MOMENTS
]


@asynccontextmanager
async def engine_of(stack: LocalStack) -> AsyncIterator[Client]:
    yield await connect(stack.environment()["DIORAMA_TEMPORAL_ADDRESS"])


async def revived(diorama: Diorama) -> None:
    """The API, once it has ended, is started again."""
    await diorama.until(lambda: _pid(diorama), lambda pid: pid is None)
    await diorama.stack.start_service("api")


async def _pid(diorama: Diorama) -> int | None:
    return diorama.stack.pid("api")


async def once(diorama: Diorama, body: Json, key: str) -> httpx.Response | None:
    """The answer to one POST, which comes again as it is told to; None when the connection was lost."""
    try:
        return await posted(diorama.http, body, key)
    except httpx.TransportError:
        return None


async def posted(http: httpx.AsyncClient, body: Json, key: str) -> httpx.Response:
    return await answered(lambda: http.post("/v1/generations", json=body, headers={"Idempotency-Key": key}))


@pytest.mark.parametrize("boundary", BETWEEN_ROW_AND_ANSWER, ids=str)
async def test_a_key_is_one_generation_although_the_api_is_killed_on_the_way(
    diorama: Diorama, points: ArmedPoints, boundary: Boundary
) -> None:
    key = f"key-{uuid4()}"
    points.arm(boundary, "kill")
    answers = [await once(diorama, chain(), key)]
    await revived(diorama)
    assert points.has_fired(boundary)
    answers += [await once(diorama, chain(), key) for _ in range(2)]
    given = [answer for answer in answers if answer is not None]
    accepted = given[-1].json()
    diorama.started.append(accepted["id"])
    ended = await diorama.ended(accepted["id"])

    assert len(given) >= 2
    assert {answer.status_code for answer in given} == {202}
    assert all(answer.json() == accepted for answer in given)
    assert given[-1].headers["Idempotent-Replayed"] == "true"
    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 2
    assert await rows_with(diorama, key) == 1
    await has_one_workflow(diorama, accepted["id"])


async def rows_with(diorama: Diorama, key: str) -> int:
    async with diorama.database.transaction() as session:
        query = text("select count(*) from generation where idempotency_key = :key")
        return int((await (await session.connection()).execute(query, {"key": key})).scalar_one())


async def has_one_workflow(diorama: Diorama, generation_id: str) -> None:
    """The engine knows one workflow of this generation, and of that one run."""

    async def runs() -> list[str]:
        wanted = f"WorkflowId STARTS_WITH 'generation/{generation_id}'"
        return [found.id async for found in client.list_workflows(wanted)]

    async with engine_of(diorama.stack) as client:
        found = await diorama.until(runs, bool)  # the index lags a little
    assert found == [f"generation/{generation_id}"]


@asynccontextmanager
async def second_api(stack: LocalStack, folder: Path) -> AsyncIterator[str]:
    """The address of another API process over the same servers."""
    port = find_free_port()
    environment = {**os.environ, **stack.environment(), "PYTHONPATH": PYTHON_PATH, "DIORAMA_API_PORT": str(port)}
    environment |= {ROOT_MARK: str(stack.root)}
    launch = Launch(command=(*PYTHON, "api"), environment=environment, folder=folder, log=folder / "api.log")
    process = await StackProcess.spawn(launch)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.kill()


async def serves(url: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/readyz")).is_success
    except httpx.TransportError:
        return False


async def test_fifty_requests_with_one_key_at_two_processes_are_one_generation(
    diorama: Diorama, tmp_path: Path
) -> None:
    key = f"key-{uuid4()}"
    headers = dict(diorama.http.headers)
    async with (
        second_api(diorama.stack, tmp_path) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S) as other,
    ):
        await diorama.until(lambda: serves(url), bool)
        body = only_avatar()
        answers = await asyncio.gather(*(posted(one, body, key) for one in (diorama.http, other) for _ in range(25)))
    accepted = answers[0].json()
    diorama.started.append(accepted["id"])
    ended = await diorama.ended(accepted["id"])

    assert all(answer.json() == accepted for answer in answers)
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert await rows_with(diorama, key) == 1
    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 1
    await has_one_workflow(diorama, accepted["id"])


async def by_sse(diorama: Diorama, generation_id: str, seen: list[int]) -> None:
    """Follow until the connection ends, from the last that was seen."""
    headers = {"Last-Event-ID": str(seen[-1] if seen else 0)}
    async with diorama.http.stream("GET", f"/v1/generations/{generation_id}/events", headers=headers) as answer:
        if answer.status_code == 200:
            seen += [int(line[4:]) async for line in answer.aiter_lines() if line.startswith("id: ")]


async def by_websocket(diorama: Diorama, generation_id: str, seen: list[int]) -> None:
    """Follow until the connection ends, from the last that was seen."""
    base = str(diorama.http.base_url).replace("http", "ws", 1).rstrip("/")
    url = f"{base}/v1/generations/{generation_id}/ws?last_event_id={seen[-1] if seen else 0}"
    headers = {"Authorization": diorama.http.headers["Authorization"]}
    async with connect_websocket(url, additional_headers=headers, proxy=None) as websocket:
        while True:
            seen.append(json.loads(await websocket.recv())["seq"])


async def followed(diorama: Diorama, generation_id: str, visit: Any) -> list[int]:
    """What a client sees that comes back after every loss, until there is nothing more."""
    seen: list[int] = []
    while not (await is_all(diorama, generation_id, seen)):
        try:
            await visit(diorama, generation_id, seen)
        except (httpx.TransportError, OSError, ConnectionClosed, InvalidHandshake):
            await asyncio.sleep(0.05)
    return seen


async def is_all(diorama: Diorama, generation_id: str, seen: list[int]) -> bool:
    async with diorama.database.transaction() as session:
        query = text("select event_seq, status from generation where id = :id")
        row = (await (await session.connection()).execute(query, {"id": generation_id})).one()
    return bool(seen) and row.status == "succeeded" and seen[-1] == row.event_seq


async def test_followers_see_each_event_once_although_the_api_is_killed_and_restarted(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene=LONG))
    followers = [asyncio.create_task(followed(diorama, accepted["id"], visit)) for visit in (by_sse, by_websocket) * 2]
    await diorama.bought(accepted["id"], "scene")
    await diorama.stack.kill("api")
    await diorama.stack.start_service("api")
    await diorama.stack.restart("api")
    await diorama.wind_sandbox()
    seen = await asyncio.gather(*followers)
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert seen == [list(range(1, len(seen[0]) + 1))] * 4


async def test_a_webhook_that_comes_many_times_is_one_notice(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=webhook_duplicate]]"))
    await diorama.ended(accepted["id"])
    (spend,) = await diorama.spends(accepted["id"])

    async def sent() -> list[Json]:
        deliveries: list[Json] = (await diorama.sandbox.get("/admin/webhooks")).json()
        return [one for one in deliveries if one["prediction_id"] == spend.provider_job_id and one["status"] == 204]

    async def notices() -> list[Any]:
        async with diorama.database.transaction() as session:
            query = text("select job_id from notice where token = :token")
            return list((await (await session.connection()).execute(query, {"token": spend.token})).scalars())

    await diorama.until(sent, lambda found: len(found) >= 2)
    assert await notices() == [spend.provider_job_id]
