"""Pictures that come with OpenAI's edits: taken apart whole, and never more of them in memory than there is room for."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from api import upload_reading
from api.openai import bodies
from api.services import Services
from tests.integration.api.openai_client import client_of, newest, succeed, worked_on
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import Tenant, eventually, png

EDITS = "/v1/images/edits"
WORDS = "a lighthouse made of glass"


def noise(width: int = 900, height: int = 600) -> bytes:
    """A picture that no compression makes smaller: some 1.6 MB."""
    out = io.BytesIO()
    Image.effect_noise((width, height * 3), 100).save(out, "PNG")
    return out.getvalue()


def data_uri(encoded: bytes) -> str:
    return f"data:image/png;base64,{encoded.decode()}"


async def edit(tenant: Tenant, *addresses: str) -> httpx.Response:
    body = {"prompt": WORDS, "images": [{"image_url": address} for address in addresses]}
    return await tenant.client.post(EDITS, json=body)


async def given_hashes(tenant: Tenant) -> list[str]:
    """The SHA-256 of what the newest generation works from."""
    ids = (await tenant.generations())[0]["request"]["image_asset_ids"]
    return [(await tenant.client.get(f"/v1/assets/{one}")).json()["sha256"] for one in ids]


@asynccontextmanager
async def all_room_taken(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Uploads that do not end hold all slots while the block runs."""
    done = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"\x89PNG"
        await done.wait()

    async def all_taken() -> bool:
        services: Services = tenant.api.server.lifespan.state["services"]
        return services.upload_reader._slots.locked()

    headers = {"Content-Type": "image/png"}
    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(tenant.client.post("/v1/assets", content=endless(), headers=headers))
        try:
            await eventually(all_taken)
            monkeypatch.setattr(upload_reading, "WAIT_FOR_SLOT_S", 0.05)  # not before: it holds for these uploads, too
            yield
        finally:
            done.set()


async def test_a_picture_of_megabytes_in_json_arrives_as_it_was(tenant: Tenant) -> None:
    picture, small = noise(), png(40, 30)

    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    async with worked_on(work):
        answer = await edit(tenant, *(data_uri(base64.b64encode(one)) for one in (picture, small)))

    assert len(picture) > bodies._PIECE
    assert answer.status_code == 200, answer.text
    assert await given_hashes(tenant) == [hashlib.sha256(one).hexdigest() for one in (picture, small)]


async def test_broken_base64_far_behind_the_beginning_is_found(tenant: Tenant) -> None:
    encoded = base64.b64encode(noise())

    answer = await edit(tenant, data_uri(encoded[:-100] + b"!" + encoded[-99:]))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_base64_image")
    assert await tenant.generations() == []


async def test_pictures_behind_addresses_are_fetched_in_their_order(tenant: Tenant, pictures: PictureHost) -> None:
    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    async with worked_on(work):
        answer = await edit(tenant, pictures.url("me.png"), pictures.url("to-me"))

    assert answer.status_code == 200, answer.text
    assert await given_hashes(tenant) == [hashlib.sha256(png()).hexdigest()] * 2


@pytest.mark.parametrize("kind", ["form", "json", "addresses"])
async def test_an_edit_without_room_for_its_pictures_is_told_to_come_again(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, pictures: PictureHost, kind: str
) -> None:
    inline, address = data_uri(base64.b64encode(png())), pictures.url("me.png")
    sent: dict[str, dict[str, Any]] = {
        "form": {"data": {"prompt": WORDS}, "files": {"image": png()}},
        "json": {"json": {"prompt": WORDS, "images": [{"image_url": inline}]}},
        "addresses": {"json": {"prompt": WORDS, "images": [{"image_url": address}]}},
    }
    async with all_room_taken(tenant, monkeypatch):
        answer = await tenant.client.post(EDITS, **sent[kind])

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2", "true")
    assert await tenant.generations() == []


async def test_edits_that_wait_for_their_pictures_take_no_room_from_others(tenant: Tenant) -> None:
    async with client_of(tenant) as client:
        calls = [asyncio.ensure_future(client.images.edit(image=png(), prompt=WORDS)) for _ in range(20)]
        await newest(tenant, 20)
        for row in await tenant.generations():
            await succeed(tenant, row["id"])
        answers = await asyncio.gather(*calls)

    assert all(answer.data for answer in answers)


async def test_a_body_that_comes_too_slowly_is_given_up(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"prompt": '
        await given_up.wait()

    given_up = asyncio.Event()
    monkeypatch.setattr(bodies, "ARRIVES_WITHIN_S", 0.1)
    headers = {"Content-Type": "application/json"}
    call = asyncio.ensure_future(tenant.client.post(EDITS, content=slow(), headers=headers))
    await asyncio.wait({call}, timeout=5)
    given_up.set()
    answer = await call

    assert (answer.status_code, answer.headers["x-should-retry"]) == (408, "false")
    assert answer.json()["error"]["type"] == "invalid_request_error"
