"""Accepting images and enhancements: what they start from is checked, held and kept; what they cost is told."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.integration.api.openai_client import show_partial
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import Tenant, eventually, png

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a lighthouse made of glass, at dusk"}
NOBODYS_ID = str(uuid4())


async def uploaded(tenant: Tenant, width: int = 64, height: int = 48) -> str:
    headers = {"Content-Type": "image/png"}
    answer = await tenant.client.post("/v1/assets", content=png(width, height), headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def used(tenant: Tenant, asset_id: str) -> bool:
    (row,) = await tenant.api.ask("select used_at from asset where id = :id", id=asset_id)
    return row.used_at is not None


async def test_four_pictures_cost_four_times_as_much_as_one(tenant: Tenant) -> None:
    one, four = await tenant.accept(IMAGE), await tenant.accept(IMAGE | {"count": 4})

    assert Decimal(four["quote"]["expected_usd"]) == 4 * Decimal(one["quote"]["expected_usd"])
    assert Decimal(four["quote"]["max_usd"]) == 4 * Decimal(one["quote"]["max_usd"])
    assert (four["kind"], four["status"]) == ("image", "queued")


async def test_an_accepted_image_is_started_and_named_without_its_words(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    body = IMAGE | {"count": 2, "image_asset_ids": [await uploaded(tenant)]}
    accepted = await tenant.accept(body)
    query = "select 1 from generation where id = :id and dispatched_at is not null"
    await eventually(lambda: tenant.api.ask(query, id=accepted["id"]))

    described = await engine.client.get_workflow_handle(f"generation/{accepted['id']}").describe()

    assert described.workflow_type == "diorama.Image"
    assert await described.static_summary() == "2 pictures from 1 of the client's"


async def test_an_upload_counts_as_used_from_its_first_generation_on(tenant: Tenant) -> None:
    first, second, third = [await uploaded(tenant, width) for width in (20, 30, 40)]

    await tenant.accept(IMAGE | {"image_asset_ids": [first, second]})

    assert [await used(tenant, asset_id) for asset_id in (first, second, third)] == [True, True, False]


async def test_an_upload_can_be_enhanced(tenant: Tenant) -> None:
    asset_id = await uploaded(tenant)

    accepted = await tenant.accept({"kind": "enhance", "image_asset_id": asset_id, "scale": 4})

    assert Decimal(accepted["quote"]["max_usd"]) > 0
    assert await used(tenant, asset_id)


async def test_an_unfinished_picture_is_none_to_start_from(tenant: Tenant) -> None:
    accepted = await tenant.accept(IMAGE)
    await show_partial(tenant, accepted["id"], 0, png())
    (row,) = await tenant.api.ask("select id from asset where tenant_id = :id and role = 'partial'", id=tenant.id)
    unfinished = str(row.id)
    for body in (IMAGE | {"image_asset_ids": [unfinished]}, {"kind": "enhance", "image_asset_id": unfinished}):
        answer = await tenant.client.post("/v1/generations", json=body)

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert len(await tenant.generations()) == 1


async def test_the_avatar_of_a_scene_may_be_an_upload(tenant: Tenant) -> None:
    asset_id = await uploaded(tenant)

    await tenant.accept({"kind": "scene", "scene": {"theme": "coral-reef"}, "avatar_asset_id": asset_id})

    assert await used(tenant, asset_id)


async def test_the_same_pictures_in_two_orders_at_once_are_both_accepted(tenant: Tenant) -> None:
    pictures = [await uploaded(tenant, width) for width in (20, 30)]

    for _ in range(5):
        await tenant.accept(IMAGE | {"image_asset_ids": pictures})
        await tenant.accept(IMAGE | {"image_asset_ids": pictures[::-1]})

    assert (await tenant.counts())["generation"] == 10


async def test_a_picture_that_is_not_there_is_named_by_its_field(tenant: Tenant, stranger: Tenant) -> None:
    mine, theirs = await uploaded(tenant), await uploaded(stranger)
    refused = {
        "image_asset_ids[1]": IMAGE | {"image_asset_ids": [mine, NOBODYS_ID]},
        "image_asset_ids[0]": IMAGE | {"image_asset_ids": [theirs]},
        "image_asset_id": {"kind": "enhance", "image_asset_id": theirs},
    }

    for field, body in refused.items():
        answer = await tenant.client.post("/v1/generations", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert f"in {field}." in answer.json()["detail"]
    assert (await tenant.counts())["generation"] == 0
    assert [await used(tenant, mine), await used(stranger, theirs)] == [False, False]


async def test_a_picture_of_a_deleted_session_cannot_be_worked_from(tenant: Tenant, pictures: PictureHost) -> None:
    scene = {"kind": "scene", "scene": {"theme": "coral-reef"}, "session_id": "walk"}
    await tenant.accept(scene | {"image_url": pictures.url("me.png")})
    (row,) = await tenant.api.ask("select id::text from asset where tenant_id = :id", id=tenant.id)
    await tenant.client.delete("/v1/sessions/walk")

    answer = await tenant.client.post("/v1/generations", json=IMAGE | {"image_asset_ids": [row.id]})

    assert answer.status_code == 404


async def test_what_would_become_too_large_to_keep_is_not_enlarged(tenant: Tenant) -> None:
    asset_id = await uploaded(tenant, 1100, 1000)
    body = {"kind": "enhance", "image_asset_id": asset_id}

    too_large = await tenant.client.post("/v1/generations", json=body | {"scale": 4})
    accepted = await tenant.client.post("/v1/generations", json=body | {"scale": 2})

    assert (too_large.status_code, too_large.json()["code"]) == (422, "image_too_large")
    assert too_large.json()["max_pixels"] == 1024 * 1024
    assert accepted.status_code == 202


async def test_a_request_that_costs_more_than_it_may_is_refused_and_says_what_is_needed(tenant: Tenant) -> None:
    body = IMAGE | {"count": 4}
    whole = Decimal((await tenant.accept(body))["quote"]["max_usd"])

    refused = await tenant.client.post("/v1/generations", json=body | {"max_cost_usd": "0.001"})
    enough = await tenant.client.post("/v1/generations", json=body | {"max_cost_usd": str(whole)})

    assert (refused.status_code, refused.json()["code"]) == (422, "too_expensive")
    assert enough.status_code == 202
    assert (await tenant.counts())["generation"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": " "},
        {"prompt": "a" * 32_001},
        {"prompt": "a \u0000 fox"},
        {"count": 0},
        {"count": 11},
        {"size": "0x10"},
        {"size": "100"},
        {"image_asset_ids": [NOBODYS_ID] * 17},
        {"image_use": "sketch"},
        {"image_use": "start", "image_asset_ids": [NOBODYS_ID] * 2},
        {"traits": {"transparent": True, "output_format": "jpeg"}},
        {"traits": {"colour": "red"}},
        {"strategy": "pinned"},
        {"max_cost_usd": "0"},
    ],
)
async def test_an_image_that_makes_no_sense_is_refused(tenant: Tenant, wrong: dict[str, Any]) -> None:
    answer = await tenant.client.post("/v1/generations", json=IMAGE | wrong)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_key_stands_for_one_image_only(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await tenant.client.post("/v1/generations", json=IMAGE, headers=headers)

    again = await tenant.client.post("/v1/generations", json=IMAGE | {"count": 1}, headers=headers)
    other = await tenant.client.post("/v1/generations", json=IMAGE | {"count": 2}, headers=headers)

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_images_are_listed_by_their_kind(tenant: Tenant) -> None:
    accepted = await tenant.accept(IMAGE)
    await tenant.accept({"kind": "avatar", "avatar": {"description": "a fox"}})

    listed = (await tenant.client.get("/v1/generations", params={"kind": "image"})).json()["items"]

    assert [one["id"] for one in listed] == [accepted["id"]]
