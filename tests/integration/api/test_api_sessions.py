"""Sessions: listed, counted and deleted as one."""

from decimal import Decimal

from temporalio.testing import WorkflowEnvironment

from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import AVATAR, CHAIN, Tenant, eventually


async def test_a_session_is_counted_by_status(tenant: Tenant) -> None:
    first = await tenant.accept(CHAIN)
    second = await tenant.accept(CHAIN)
    await tenant.finish(first["id"], "succeeded", cost_usd=Decimal("0.11"))

    body = (await tenant.client.get("/v1/sessions/evening-walk")).json()

    assert body["counts"] == {"succeeded": 1, "queued": 1}
    assert Decimal(body["cost_usd"]) == Decimal("0.11")
    assert body["newest_generation_id"] == second["id"]
    listed = (await tenant.client.get(body["links"]["generations"])).json()["items"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]


async def test_sessions_are_listed_by_their_newest_generation(tenant: Tenant) -> None:
    for name in ("one", "two", "three", "one"):
        await tenant.accept(AVATAR | {"session_id": name})
    await tenant.accept(AVATAR)

    first = (await tenant.client.get("/v1/sessions?limit=2")).json()
    second = (await tenant.client.get("/v1/sessions", params={"cursor": first["next_cursor"]})).json()

    assert [one["session_id"] for one in first["items"]] == ["one", "three"]
    assert [one["session_id"] for one in second["items"]] == ["two"]
    assert second["next_cursor"] is None


async def test_a_deleted_session_vanishes_at_once_and_its_live_generations_are_asked_to_stop(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    live = await tenant.accept(CHAIN)
    ended = await tenant.accept(CHAIN)
    other = await tenant.accept(AVATAR)
    await tenant.finish(ended["id"], "succeeded")

    answer = await tenant.client.delete("/v1/sessions/evening-walk")

    assert answer.status_code == 202
    assert answer.json() == {"session_id": "evening-walk", "generations": 2, "canceled": 1}
    assert [one["id"] for one in await tenant.generations()] == [other["id"]]
    assert (await tenant.client.get(live["links"]["self"])).status_code == 404
    rows = await tenant.api.ask(
        "select id::text from generation where tenant_id = :id and cancel_requested_at is not null", id=tenant.id
    )
    assert [row.id for row in rows] == [live["id"]]
    handle = engine.client.get_workflow_handle(f"session-delete/{tenant.id}/evening-walk")

    async def is_deleting() -> bool:
        return [found async for found in engine.client.list_workflows(f"WorkflowId = '{handle.id}'")] != []

    assert await eventually(is_deleting)
    assert await handle.result() == "evening-walk"


async def test_the_pictures_of_a_deleted_session_are_gone_at_once(tenant: Tenant, pictures: PictureHost) -> None:
    scene = {"kind": "scene", "scene": {"theme": "coral-reef"}, "session_id": "walk"}
    await tenant.accept(scene | {"image_url": pictures.url("me.png")})
    (row,) = await tenant.api.ask("select id from asset where tenant_id = :id", id=tenant.id)
    await tenant.client.delete("/v1/sessions/walk")

    read = await tenant.client.get(f"/v1/assets/{row.id}/content")
    used = await tenant.client.post("/v1/generations", json=scene | {"avatar_asset_id": str(row.id)})

    assert (read.status_code, read.json()["code"]) == (410, "gone")
    assert (used.status_code, used.json()["code"]) == (404, "not_found")


async def test_deleting_a_session_again_is_harmless(tenant: Tenant) -> None:
    await tenant.accept(CHAIN)
    await tenant.client.delete("/v1/sessions/evening-walk")

    answer = await tenant.client.delete("/v1/sessions/evening-walk")

    assert answer.status_code == 202


async def test_somebody_elses_session_is_not_touched(tenant: Tenant, stranger: Tenant) -> None:
    await stranger.accept(CHAIN)

    answer = await tenant.client.delete("/v1/sessions/evening-walk")

    assert answer.status_code == 404
    assert len(await stranger.generations()) == 1


async def test_a_session_can_be_deleted_while_the_engine_is_away(offline_tenant: Tenant) -> None:
    await offline_tenant.accept(CHAIN)

    answer = await offline_tenant.client.delete("/v1/sessions/evening-walk")

    assert answer.status_code == 202
    assert (await offline_tenant.client.get("/v1/sessions/evening-walk")).status_code == 404
