"""Following generations live, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from storage.memory import MemoryStorage
from tests.integration.api.running_api import (
    AVATAR,
    RunningApi,
    Tenant,
    eventually,
    new_tenant,
    running_api,
    settings_for,
)
from tests.integration.patience import HTTP_S

Frame = dict[str, Any]


@asynccontextmanager
async def stream(tenant: Tenant, generation_id: str, **headers: str) -> AsyncIterator[AsyncIterator[Frame]]:
    path = f"/v1/generations/{generation_id}/events"
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with tenant.client.stream("GET", path, headers=sent) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield frames(response)


async def frames(response: httpx.Response) -> AsyncIterator[Frame]:
    frame: Frame = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line == "" and frame:
            yield frame
            frame = {}
        elif name in {"event", "id"}:
            frame[name] = value
        elif name == "data":
            frame["data"] = json.loads(value)


async def test_a_stream_begins_with_a_snapshot_and_ends_after_the_final_event(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    seen: list[Frame] = []

    async with stream(tenant, accepted["id"]) as found:
        async for frame in found:
            seen.append(frame)
            if frame["event"] == "snapshot":
                await tenant.tell(accepted["id"], "generation.progress", step="avatar", progress=0.5)
                await tenant.finish(accepted["id"], "succeeded")

    assert [(frame["event"], frame["id"]) for frame in seen] == [
        ("snapshot", "1"),
        ("generation.progress", "2"),
        ("generation.succeeded", "3"),
    ]
    assert seen[0]["data"]["id"] == accepted["id"]
    assert seen[1]["data"] == {"step": "avatar", "progress": 0.5}


async def test_a_stream_of_what_has_ended_is_its_snapshot_alone(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "failed")

    async with stream(tenant, accepted["id"]) as found:
        seen = [frame async for frame in found]

    assert [frame["event"] for frame in seen] == ["snapshot"]
    assert seen[0]["data"]["status"] == "failed"


async def test_last_event_id_resumes_without_a_gap_and_without_a_snapshot(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    for step in range(3):
        await tenant.tell(accepted["id"], "generation.progress", step=step)
    await tenant.finish(accepted["id"], "succeeded")

    async with stream(tenant, accepted["id"], last_event_id="2") as found:
        seen = [frame["id"] async for frame in found]

    assert seen == ["3", "4", "5"]


async def test_a_browser_that_has_seen_the_end_is_told_not_to_come_back(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "succeeded")

    answer = await tenant.client.get(accepted["links"]["events"], headers={"Last-Event-ID": "2"})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_many_followers_see_the_same_events_in_order(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    followers = 25
    ready = asyncio.Semaphore(0)

    async def follow() -> list[str]:
        ids: list[str] = []
        async with stream(tenant, accepted["id"]) as found:
            async for frame in found:
                ids.append(frame["id"])
                if len(ids) == 1:
                    ready.release()
        return ids

    tasks = [asyncio.create_task(follow()) for _ in range(followers)]
    for _ in range(followers):
        await ready.acquire()
    for step in range(20):
        await tenant.tell(accepted["id"], "generation.progress", step=step)
    await tenant.finish(accepted["id"], "succeeded")

    seen = await asyncio.gather(*tasks)

    assert seen == [[str(seq) for seq in range(1, 23)]] * followers


async def test_followers_hold_no_database_connection(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    busy = "select count(*) from pg_stat_activity where application_name = 'diorama-api' and state like 'idle in%'"

    async def nobody_does() -> bool:
        """A transaction of anybody's may be under way at one moment; a follower's would be at all of them."""
        return await tenant.api.ask(busy) == [(0,)]

    async with stream(tenant, accepted["id"]) as found:
        await anext(found)
        await eventually(nobody_does)
        await tenant.finish(accepted["id"], "succeeded")
        rest = [frame["event"] async for frame in found]

    assert rest == ["generation.succeeded"]


async def test_a_lost_listener_loses_no_event(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'diorama-listen'"

    async with stream(tenant, accepted["id"]) as found:
        await anext(found)
        await tenant.api.ask(kill)
        await tenant.tell(accepted["id"], "generation.progress", step="avatar")
        await tenant.finish(accepted["id"], "succeeded")
        rest = [frame["event"] async for frame in found]

    assert rest == ["generation.progress", "generation.succeeded"]


def ws_url(tenant: Tenant, generation_id: str) -> str:
    return f"{tenant.api.url.replace('http', 'ws', 1)}/v1/generations/{generation_id}/ws"


@pytest.mark.parametrize("way", ["header", "subprotocol"])
async def test_a_websocket_tells_the_same_story(tenant: Tenant, way: str) -> None:
    accepted = await tenant.accept(AVATAR)
    key: dict[str, Any] = {"additional_headers": {"Authorization": f"Bearer {tenant.key}"}}
    if way == "subprotocol":
        key = {"subprotocols": [Subprotocol("diorama.v1"), Subprotocol(f"diorama.key.{tenant.key}")]}
    seen: list[Frame] = []

    async with connect(ws_url(tenant, accepted["id"]), **key, open_timeout=HTTP_S) as websocket:
        async for message in websocket:
            seen.append(json.loads(message))
            if len(seen) == 1:
                await websocket.send("clients may talk; nobody listens")
                await tenant.tell(accepted["id"], "generation.progress", step="avatar")
                await tenant.finish(accepted["id"], "canceled")

    assert [(frame["type"], frame["seq"]) for frame in seen] == [
        ("snapshot", 1),
        ("generation.progress", 2),
        ("generation.canceled", 3),
    ]
    assert websocket.close_code == 1000


async def test_a_websocket_without_a_valid_key_is_closed_with_4401(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)

    async with connect(ws_url(tenant, accepted["id"]), open_timeout=HTTP_S) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()

    assert websocket.close_code == 4401


@pytest.mark.parametrize("name", ["0199c0de-0000-7000-8000-000000000000", "seven"])
async def test_a_websocket_to_nothing_is_closed_with_4404(tenant: Tenant, name: str) -> None:
    headers = {"Authorization": f"Bearer {tenant.key}"}

    async with connect(ws_url(tenant, name), additional_headers=headers, open_timeout=HTTP_S) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()

    assert websocket.close_code == 4404


async def test_a_shutdown_ends_streams_at_once_and_a_follower_resumes_at_another_replica(
    api: RunningApi, api_database_url: str
) -> None:
    settings = settings_for(api_database_url, "127.0.0.1:9")
    async with running_api(settings, MemoryStorage()) as first, new_tenant(first) as tenant:
        accepted = await tenant.accept(AVATAR)
        async with stream(tenant, accepted["id"]) as found:
            seen = [await anext(found)]
            first.server.should_exit = True
            seen += [frame async for frame in found]
    async with httpx.AsyncClient(base_url=api.url, headers=tenant.client.headers, timeout=HTTP_S) as client:
        elsewhere = Tenant(tenant.id, tenant.key, client, api)
        await elsewhere.finish(accepted["id"], "succeeded")
        async with stream(elsewhere, accepted["id"], last_event_id=seen[-1]["id"]) as found:
            rest = [frame["event"] async for frame in found]

    assert [frame["event"] for frame in seen] == ["snapshot"]
    assert rest == ["generation.succeeded"]
