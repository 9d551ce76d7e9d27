"""Pictures that clients upload: proved, stored once, the tenant's alone, and gone when they are not accepted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.safe_fetch import MAX_BYTES
from errors import StorageUnavailable
from tests.integration.api.running_api import Tenant, png

PNG = {"Content-Type": "image/png"}


async def upload(tenant: Tenant, body: bytes, **headers: str) -> httpx.Response:
    return await tenant.client.post("/v1/assets", content=body, headers=PNG | headers)


async def states(tenant: Tenant) -> list[str]:
    rows = await tenant.api.ask("select state from asset where tenant_id = :id order by id", id=tenant.id)
    return [row.state for row in rows]


async def test_an_uploaded_picture_is_stored_and_reads_back(tenant: Tenant) -> None:
    body = png(120, 80)

    answer = await upload(tenant, body)

    asset = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == asset["links"]["self"]
    assert (asset["role"], asset["step"], asset["generation_id"]) == ("input", "input", None)
    assert (asset["width"], asset["height"], asset["content_type"]) == (120, 80, "image/png")
    assert asset["sha256"] == hashlib.sha256(body).hexdigest()
    assert (await tenant.client.get(asset["links"]["content"])).content == body
    assert len(await tenant.objects()) == 1


@pytest.mark.parametrize("field", ["image", "file"])
async def test_the_file_of_a_form_is_the_same_picture_as_the_body_itself(tenant: Tenant, field: str) -> None:
    body = png(40, 40)

    raw = await upload(tenant, body)
    form = await tenant.client.post("/v1/assets", files={field: ("me.png", body, "image/png")})

    assert form.status_code == 201
    assert form.json()["id"] == raw.json()["id"]
    assert len(await tenant.objects()) == 1


async def test_the_type_is_that_of_the_bytes_whatever_the_client_says(tenant: Tenant) -> None:
    answer = await upload(tenant, png(), **{"Content-Type": "image/webp"})

    assert answer.json()["content_type"] == "image/png"


async def test_uploading_again_makes_a_picture_last_longer(tenant: Tenant) -> None:
    first = (await upload(tenant, png())).json()
    await tenant.api.ask("update asset set stored_at = now() - interval '23 hours' where id = :id", id=first["id"])

    again = (await upload(tenant, png())).json()

    assert again["id"] == first["id"]
    (row,) = await tenant.api.ask(
        "select stored_at > now() - interval '1 hour' as fresh from asset where id = :id", id=first["id"]
    )
    assert row.fresh


async def test_the_same_upload_many_times_at_once_gives_pictures_that_all_stay(tenant: Tenant) -> None:
    answers = await asyncio.gather(*(upload(tenant, png()) for _ in range(8)))

    ids = {answer.json()["id"] for answer in answers}
    assert {answer.status_code for answer in answers} == {201}
    assert await states(tenant) == ["stored"] * len(ids)
    assert (await upload(tenant, png())).json()["id"] in ids


async def test_nobody_else_can_see_or_use_an_upload(tenant: Tenant, stranger: Tenant) -> None:
    mine = (await upload(tenant, png())).json()

    theirs = (await upload(stranger, png())).json()
    read = await stranger.client.get(mine["links"]["content"])
    used = await stranger.client.post("/v1/generations", json={"kind": "enhance", "image_asset_id": mine["id"]})

    assert theirs["id"] != mine["id"]
    assert (read.status_code, used.status_code) == (404, 404)


BAD: dict[str, tuple[int, str, dict[str, Any]]] = {
    "no picture": (422, "image_not_decodable", {"content": b"hello", "headers": PNG}),
    "nothing": (422, "image_not_decodable", {"content": b"", "headers": PNG}),
    "a cut picture": (422, "image_not_decodable", {"content": png()[:-20], "headers": PNG}),
    "a page": (415, "unsupported_media_type", {"content": b"<html>", "headers": {"Content-Type": "text/html"}}),
    "no type": (415, "unsupported_media_type", {"content": png()}),
    "a form without a file": (400, "bad_request", {"data": {"image": "me"}, "files": {"other": b"x"}}),
    "a form with two files": (400, "bad_request", {"files": [("image", png()), ("file", png())]}),
    "a form with another field": (400, "bad_request", {"files": {"image": png()}, "data": {"n": "1"}}),
    "a broken form": (
        400,
        "bad_request",
        {"content": b"--x\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
    ),
    "a form without a boundary": (
        400,
        "bad_request",
        {"content": b"--x--", "headers": {"Content-Type": "multipart/form-data"}},
    ),
    "too many bytes": (413, "content_too_large", {"content": b"\x00" * (MAX_BYTES + 1), "headers": PNG}),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_one_picture_is_refused_and_leaves_nothing(tenant: Tenant, name: str) -> None:
    status, code, request = BAD[name]

    answer = await tenant.client.post("/v1/assets", **request)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await states(tenant) == []
    assert await tenant.objects() == []


@pytest.mark.parametrize("start", [b"", b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'])
async def test_a_body_that_does_not_say_how_long_it_is_is_bounded_too(tenant: Tenant, start: bytes) -> None:
    async def too_long() -> AsyncIterator[bytes]:
        yield start
        for _ in range(2 * MAX_BYTES // 65536):
            yield b"\x00" * 65536

    headers = {"Content-Type": "multipart/form-data; boundary=x"} if start else PNG
    answer = await tenant.client.post("/v1/assets", content=too_long(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert await states(tenant) == []


async def test_a_key_is_needed(tenant: Tenant) -> None:
    assert (await upload(tenant, png(), Authorization="")).status_code == 401


async def test_an_upload_that_cannot_be_stored_is_refused_and_taken_back(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(tenant.api.storage, "put", away)
    refused = await upload(tenant, png())
    monkeypatch.undo()
    accepted = await upload(tenant, png())

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert accepted.status_code == 201
    assert await states(tenant) == ["deleted", "stored"]
    assert len(await tenant.objects()) == 1
