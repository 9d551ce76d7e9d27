"""Pictures over HTTP: what is known about them, and their bytes."""

import hashlib
from dataclasses import dataclass

import pytest

from contracts.statuses import AssetRole, AssetState, Step
from db.columns import now
from db.models import Asset
from storage.base import NewObject
from storage.bodies import chunks_of
from tests.integration.api.running_api import AVATAR, Tenant, png


@dataclass(frozen=True)
class Picture:
    id: str
    key: str
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


async def stored_picture(
    tenant: Tenant, state: AssetState = AssetState.stored, role: AssetRole = AssetRole.picture
) -> Picture:
    body = png(320, 200)
    sha256 = hashlib.sha256(body).hexdigest()
    generation = await tenant.accept(AVATAR)
    row = Asset(
        tenant_id=tenant.id,
        generation_id=generation["id"],
        step=Step.scene,
        role=role,
        state=state,
        key=f"{tenant.id}/{generation['id']}/scene.png",
        content_type="image/png",
        size_bytes=len(body),
        sha256=sha256,
        width=320,
        height=200,
        provider="replicate",
        model="openai/gpt-image-2.5-flare",
        prompt_name="scene",
        prompt_version="1",
        prompt_hash="f" * 64,
        stored_at=None if state is AssetState.pending else now(),
        deleted_at=now() if state is AssetState.deleted else None,
    )
    async with tenant.api.database.transaction() as session:
        session.add(row)
    await tenant.api.storage.put(NewObject(row.key, row.content_type, sha256), chunks_of(body), len(body))
    return Picture(str(row.id), row.key, body)


@pytest.fixture
async def picture(tenant: Tenant) -> Picture:
    return await stored_picture(tenant)


async def test_what_is_known_about_a_picture(tenant: Tenant, picture: Picture) -> None:
    body = (await tenant.client.get(f"/v1/assets/{picture.id}")).json()

    assert (body["width"], body["height"], body["size_bytes"]) == (320, 200, len(picture.body))
    assert body["sha256"] == picture.sha256
    assert body["prompt"] == {"name": "scene", "version": "1", "sha256": "f" * 64}
    assert body["links"]["content"] == f"/v1/assets/{picture.id}/content"
    assert "key" not in body


async def test_the_bytes_come_whole_with_a_tag_of_their_content(tenant: Tenant, picture: Picture) -> None:
    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content")

    assert answer.status_code == 200
    assert answer.content == picture.body
    assert answer.headers["etag"] == f'"{picture.sha256}"'
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-disposition"].startswith('inline; filename="scene-')


async def test_head_says_what_get_would(tenant: Tenant, picture: Picture) -> None:
    answer = await tenant.client.head(f"/v1/assets/{picture.id}/content")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(picture.body))
    assert answer.headers["etag"] == f'"{picture.sha256}"'


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
async def test_a_client_that_has_the_picture_gets_no_bytes(tenant: Tenant, picture: Picture, tag: str) -> None:
    headers = {"If-None-Match": tag.format(picture.sha256)}

    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content", headers=headers)

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{picture.sha256}"'


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-99999", 5, None)],
)
async def test_a_range_gives_its_part(
    tenant: Tenant, picture: Picture, asked: str, start: int, end: int | None
) -> None:
    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content", headers={"Range": asked})

    part = picture.body[start:end]
    first = picture.body.index(part)
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(picture.body)}"
    assert answer.headers["content-length"] == str(len(part))


async def test_a_range_of_another_version_gives_the_whole(tenant: Tenant, picture: Picture) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"another"'}

    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content", headers=headers)

    assert (answer.status_code, answer.content) == (200, picture.body)


async def test_a_range_behind_the_end_is_refused(tenant: Tenant, picture: Picture) -> None:
    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content", headers={"Range": "bytes=999999-"})

    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(picture.body)}"


async def test_a_download_redirects_to_the_store(tenant: Tenant, picture: Picture) -> None:
    answer = await tenant.client.get(f"/v1/assets/{picture.id}/download")

    assert answer.status_code == 307
    assert answer.headers["location"].startswith("memory:")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("what", ["", "/content", "/download"])
async def test_somebody_elses_picture_does_not_exist(
    tenant: Tenant, stranger: Tenant, picture: Picture, what: str
) -> None:
    answer = await stranger.client.get(f"/v1/assets/{picture.id}{what}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("what", ["", "/content", "/download"])
async def test_a_deleted_picture_is_gone(tenant: Tenant, what: str) -> None:
    picture = await stored_picture(tenant, AssetState.deleted)

    answer = await tenant.client.get(f"/v1/assets/{picture.id}{what}")

    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


@pytest.mark.parametrize(
    ("state", "role"), [(AssetState.pending, AssetRole.picture), (AssetState.stored, AssetRole.raw)]
)
async def test_what_is_not_finished_is_not_shown(tenant: Tenant, state: AssetState, role: AssetRole) -> None:
    picture = await stored_picture(tenant, state, role)

    answer = await tenant.client.get(f"/v1/assets/{picture.id}")

    assert answer.status_code == 404


async def test_a_picture_that_the_store_lost_is_a_fault_of_ours_in_words(tenant: Tenant, picture: Picture) -> None:
    await tenant.api.storage.delete(picture.key)

    answer = await tenant.client.get(f"/v1/assets/{picture.id}/content")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
