"""Streams at OpenAI's routes that end otherwise than they should: the client is told, and nothing is left behind."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from uuid import UUID

import openai
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from api.acceptance import Acceptance
from api.openai import streaming
from api.openai.calls import Ordered
from api.openai.parameters import ImageParameters
from api.openai.streaming import Watched
from db.compatible_models import CompatibleCall
from errors import StorageUnavailable
from tests.integration.api.openai_client import client_of, newest, succeed, worked_on
from tests.integration.api.running_api import Tenant

WORDS = "a lighthouse made of glass"


async def _torn(key: str, **_: object) -> AsyncGenerator[bytes]:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"the beginning of a picture"
        raise StorageUnavailable(key=key)

    return chunks()


async def test_a_store_that_goes_away_in_the_middle_of_a_picture_is_told_as_an_error(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    monkeypatch.setattr(tenant.api.storage, "get", _torn)
    async with client_of(tenant) as client, worked_on(work):
        with pytest.raises(openai.APIError) as told:
            _ = [event async for event in await client.images.generate(prompt=WORDS, stream=True)]

    assert told.value.code == "storage_unavailable"


async def test_a_slow_store_does_not_get_a_sign_of_life_into_the_middle_of_a_picture(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_two_parts(*_: object, **__: object) -> AsyncGenerator[bytes]:
        async def chunks() -> AsyncGenerator[bytes]:
            yield b"abc"
            await asyncio.sleep(10 * streaming.PING_EVERY_S)
            yield b"def"

        return chunks()

    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    monkeypatch.setattr(streaming, "PING_EVERY_S", 0.02)
    monkeypatch.setattr(tenant.api.storage, "get", in_two_parts)
    async with client_of(tenant) as client, worked_on(work):
        events = [event async for event in await client.images.generate(prompt=WORDS, stream=True)]

    assert [base64.b64decode(event.b64_json) for event in events] == [b"abcdef"]


async def _followers(tenant: Tenant) -> int:
    lines = (await tenant.client.get("/metrics")).text.splitlines()
    return int(float(next(line for line in lines if line.startswith("diorama_followers ")).split()[1]))


async def test_a_client_that_is_gone_before_the_first_byte_leaves_nothing_behind(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_message: Message) -> None:
        raise BrokenPipeError

    async def nothing() -> Message:
        raise AssertionError("nobody is asked what the client still says")

    monkeypatch.setattr(streaming, "START_WITHIN_S", 0.1)
    before = await _followers(tenant)
    response = await streaming.as_events(await _watched(tenant))
    watching = await _followers(tenant)
    with pytest.raises(ClientDisconnect):
        await response({"type": "http", "asgi": {"spec_version": "2.4"}}, nothing, gone)

    assert (watching, await _followers(tenant)) == (before + 1, before)


async def _watched(tenant: Tenant) -> Watched:
    """A call whose generation was accepted and is not yet made."""
    accepted = await tenant.accept({"kind": "image", "prompt": WORDS})
    call = CompatibleCall(tenant_id=tenant.id, key_id="k", idempotency_key="i", request_hash="h", implied=True)
    ordered = Ordered(call, Acceptance(UUID(accepted["id"]), accepted, replayed=False))
    services = tenant.api.server.lifespan.state["services"]
    return Watched(services, ordered, ImageParameters(prompt=WORDS, stream=True), "image_generation")
