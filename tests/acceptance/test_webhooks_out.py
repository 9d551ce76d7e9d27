"""Outgoing webhooks on the whole stack, to a real receiver: every end is told, whatever happens on the way."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlmodel import col, select

from db.webhook_models import Delivery
from tests.acceptance.client import LONG, Diorama, Json, answered, only_avatar
from tests.hook_receiver import HookReceiver

ROOT = Path(__file__).parents[2]
MakeEndpoint = Callable[..., Awaitable[Json]]


@pytest.fixture
async def endpoint(diorama: Diorama, hooks: HookReceiver) -> AsyncIterator[MakeEndpoint]:
    """Makes endpoints at paths of their own; they are deleted with the test."""
    made: list[Json] = []

    async def make(**body: object) -> Json:
        path = uuid4().hex
        answer = await diorama.http.post("/v1/webhook-endpoints", json={"url": hooks.url(path), **body})
        assert answer.status_code == 201, answer.text
        made.append(answer.json() | {"path": path})
        return made[-1]

    yield make
    for one in made:
        await diorama.http.delete(one["links"]["self"])


async def deliveries(diorama: Diorama, endpoint: Json) -> list[Json]:
    found = await answered(lambda: diorama.http.get(endpoint["links"]["deliveries"]))
    items: list[Json] = found.json()["items"]
    return items


async def settled(diorama: Diorama, endpoint: Json, *, within_s: float = 150) -> Json:
    """The endpoint's only delivery, when it has ended."""
    found: list[Json] = await diorama.until(
        lambda: deliveries(diorama, endpoint), lambda rows: bool(rows) and bool(rows[0]["ended_at"]), within_s=within_s
    )
    (delivery,) = found
    return delivery


async def test_the_end_of_a_generation_arrives_signed_and_once(
    diorama: Diorama, hooks: HookReceiver, endpoint: MakeEndpoint
) -> None:
    told = await endpoint()
    await endpoint(events=["generation.failed"])
    ended = await diorama.ended((await diorama.post(only_avatar()))["id"])

    (arrived,) = await hooks.until(1, told["path"])
    delivery = await settled(diorama, told)
    arrived.verify(told["secret"])
    assert arrived.content["type"] == "generation.succeeded"
    assert arrived.content["data"]["generation_id"] == ended["id"]
    assert arrived.content["data"]["pictures"][0]["asset"]["sha256"] == ended["pictures"][0]["sha256"]
    assert "explorer" not in arrived.body.decode()
    assert (delivery["id"], delivery["state"], delivery["attempts"]) == (arrived.id, "delivered", 1)
    assert len(hooks.at(told["path"])) == 1


async def test_a_receiver_that_fails_at_first_gets_it_seconds_later_under_the_same_id(
    diorama: Diorama, hooks: HookReceiver, endpoint: MakeEndpoint
) -> None:
    told = await endpoint()
    hooks.statuses = [500]
    await diorama.ended((await diorama.post(only_avatar()))["id"])

    first, second = await hooks.until(2, told["path"])
    delivery = await settled(diorama, told)
    read = (await diorama.http.get(delivery["links"]["self"])).json()
    second.verify(told["secret"])
    assert first.id == second.id == delivery["id"]
    assert [(one["number"], one["status"], one["error"]) for one in read["tried"]] == [
        (1, 500, "refused"),
        (2, 204, None),
    ]


async def test_a_receiver_that_is_gone_disables_its_endpoint(
    diorama: Diorama, hooks: HookReceiver, endpoint: MakeEndpoint
) -> None:
    told = await endpoint()
    hooks.statuses = [410]
    await diorama.ended((await diorama.post(only_avatar()))["id"])

    delivery = await settled(diorama, told)
    shown = (await diorama.http.get(told["links"]["self"])).json()
    assert (delivery["state"], delivery["last_error"], delivery["last_status"]) == ("failed", "gone", 410)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")


async def test_an_end_that_no_api_saw_is_told_when_an_api_is_back(
    diorama: Diorama, hooks: HookReceiver, endpoint: MakeEndpoint
) -> None:
    told = await endpoint()
    accepted = await diorama.post(only_avatar(LONG))
    await diorama.bought(accepted["id"])
    await diorama.stack.kill("api")
    await diorama.wind_sandbox()

    async def made() -> list[Delivery]:
        async with diorama.database.transaction() as session:
            query = select(Delivery).where(col(Delivery.generation_id) == accepted["id"])
            return list((await session.exec(query)).all())

    (delivery,) = await diorama.until(made, bool, within_s=150)
    assert delivery.dispatched_at is None
    await diorama.stack.start_service("api")

    (arrived,) = await hooks.until(1, told["path"])
    arrived.verify(told["secret"])
    assert arrived.content["data"]["generation_id"] == accepted["id"]


async def test_a_worker_that_dies_in_mid_post_is_followed_by_one_more_post_with_the_same_id(
    diorama: Diorama, hooks: HookReceiver, endpoint: MakeEndpoint
) -> None:
    told = await endpoint()
    hooks.hold.clear()
    await diorama.ended((await diorama.post(only_avatar()))["id"])
    await hooks.until(1, told["path"])
    await diorama.stack.kill("worker")
    hooks.hold.set()
    await diorama.stack.start_service("worker")

    first, second = await hooks.until(2, told["path"], within_s=150)
    delivery = await settled(diorama, told)
    assert first.id == second.id
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


async def command(diorama: Diorama, *arguments: str) -> list[Json]:
    """The JSON lines of `diorama webhooks ...`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "webhooks", *arguments, "--json"),
        *("--stack-dir", str(diorama.stack.root)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, words = await process.communicate()
    assert process.returncode == 0, words.decode()
    return [json.loads(line) for line in output.splitlines()]


async def test_the_command_line_adds_rotates_lists_replays_and_deletes(diorama: Diorama, hooks: HookReceiver) -> None:
    path = uuid4().hex
    (added,) = await command(diorama, "add", hooks.url(path), "--event", "generation.succeeded")
    (rotated,) = await command(diorama, "rotate", added["endpoint"]["id"])
    await diorama.ended((await diorama.post(only_avatar()))["id"])
    await hooks.until(1, path)
    await settled(diorama, added["endpoint"])
    (listed,) = await command(diorama, "deliveries", added["endpoint"]["id"])
    (replayed,) = await command(diorama, "replay", listed["delivery"]["id"])
    first, second = await hooks.until(2, path)
    (disabled,) = await command(diorama, "disable", added["endpoint"]["id"])
    (shown,) = [line for line in await command(diorama, "list") if line["endpoint"]["id"] == added["endpoint"]["id"]]
    (deleted,) = await command(diorama, "delete", added["endpoint"]["id"])

    for secret in (added["endpoint"]["secret"], rotated["endpoint"]["secret"]):
        first.verify(secret)
    assert (listed["delivery"]["state"], replayed["delivery"]["run"]) == ("delivered", 2)
    assert first.id == second.id == listed["delivery"]["id"]
    assert (disabled["endpoint"]["enabled"], shown["endpoint"]["enabled"]) == (False, False)
    assert deleted == {"type": "deleted", "id": added["endpoint"]["id"]}
