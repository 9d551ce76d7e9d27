"""Webhooks of the sandbox: signed, filtered, retried, and as unreliable as they are told to be."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

from tests.integration.patience import HTTP_S
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.webhook_receiver import Received, WebhookReceiver, webhook_receiver

CREATE = "/v1/models/openai/gpt-image-2/predictions"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("webhooks")) as server:
        yield server


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    await sandbox.reset()
    headers = {"authorization": "Bearer r8_x"}
    async with httpx.AsyncClient(
        base_url=sandbox.replicate_url, headers=headers, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


async def create(
    api: httpx.AsyncClient, receiver: WebhookReceiver, prompt: str = "a lake", events: list[str] | None = None
) -> dict[str, Any]:
    body = {"input": {"prompt": prompt}, "webhook": f"{receiver.url}/hook?token=t1"}
    answer = await api.post(CREATE, json=body | {"webhook_events_filter": events or ["completed"]})
    created: dict[str, Any] = answer.json()
    return created


async def check_signature(api: httpx.AsyncClient, received: Received) -> None:
    secret = WebhookSigningSecret(key=(await api.get("/v1/webhooks/default/secret")).json()["key"])
    Webhooks.validate(headers=received.headers, body=received.body.decode(), secret=secret, tolerance=60)


async def test_a_completed_webhook_is_signed_as_the_client_checks_it_and_tells_what_get_tells(
    api: httpx.AsyncClient, receiver: WebhookReceiver
) -> None:
    created = await create(api, receiver)

    received = await receiver.next()

    await check_signature(api, received)
    assert json.loads(received.body) == (await api.get(created["urls"]["get"])).json()


async def test_a_bad_signature_is_found_out(api: httpx.AsyncClient, receiver: WebhookReceiver) -> None:
    await create(api, receiver, "a lake [[sandbox fault=webhook_bad_signature]]")

    with pytest.raises(InvalidSignatureError):
        await check_signature(api, await receiver.next())


async def test_events_come_in_order_and_only_those_asked_for(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    await create(api, receiver, "a lake [[sandbox duration=4000 queue=1000]]", ["start", "logs", "output", "completed"])
    received = []
    for _ in range(4):  # one by one: those that are due together may overtake each other on their way
        await sandbox.advance(1000.5)
        received.append(json.loads((await receiver.next()).body))
    await sandbox.advance(1000.5)
    received += [json.loads((await receiver.next()).body) for _ in range(2)]

    assert [one["status"] for one in received] == ["processing"] * 4 + ["succeeded"] * 2
    assert received[0]["output"] is None
    logs = [len(one["logs"]) for one in received[:4]]
    assert logs == sorted(set(logs))


async def test_duplicates_carry_the_same_id(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    await create(api, receiver, "a lake [[sandbox fault=webhook_duplicate]]")

    first, second = await receiver.next(), await receiver.next()

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_a_refused_completed_event_is_retried_under_the_same_id_until_it_is_taken(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    receiver.statuses = [500, 429]
    await create(api, receiver)

    received = [await receiver.next() for _ in range(3)]

    assert len({one.headers["webhook-id"] for one in received}) == 1
    assert receiver.received.empty()


async def test_a_rejected_webhook_is_not_sent_again(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    receiver.statuses = [404]
    rejected = await create(api, receiver)
    await receiver.next()
    other = await create(api, receiver)

    assert json.loads((await receiver.next()).body)["id"] == other["id"] != rejected["id"]


async def test_a_start_event_can_be_overtaken_by_the_end(api: httpx.AsyncClient, receiver: WebhookReceiver) -> None:
    await create(api, receiver, "a lake [[sandbox fault=webhook_out_of_order]]", ["start", "completed"])

    assert [json.loads((await receiver.next()).body)["status"] for _ in range(2)] == ["succeeded", "processing"]


async def test_a_dropped_webhook_never_comes_and_a_late_one_comes_late(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    await create(api, receiver, "dropped [[sandbox fault=webhook_drop]]")
    await create(api, receiver, "late [[sandbox fault=webhook_late seconds=600]]")
    punctual = await create(api, receiver, "punctual")
    assert json.loads((await receiver.next()).body)["id"] == punctual["id"]

    await sandbox.advance(601)

    assert json.loads((await receiver.next()).body)["input"]["prompt"].startswith("late")
    assert receiver.received.empty()


async def test_a_cancellation_is_told_and_nothing_after_it(
    api: httpx.AsyncClient, receiver: WebhookReceiver, sandbox: SandboxServer
) -> None:
    created = await create(api, receiver, "a lake [[sandbox duration=500]]")
    await api.post(created["urls"]["cancel"])
    canceled = json.loads((await receiver.next()).body)
    await sandbox.advance(501)
    other = await create(api, receiver)

    assert (canceled["id"], canceled["status"]) == (created["id"], "canceled")
    assert json.loads((await receiver.next()).body)["id"] == other["id"]
