"""Accepting requests, repeating them, and waiting for them, on real servers."""

import asyncio
from decimal import Decimal
from uuid import UUID

from pydantic import TypeAdapter
from temporalio.testing import WorkflowEnvironment

from api.request_hash import request_hash
from contracts.requests import AnyRequest, GenerationRequest
from contracts.statuses import Status
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import AVATAR, CHAIN, Tenant, eventually


async def test_an_accepted_request_is_answered_with_its_links_quote_and_place_in_the_queue(tenant: Tenant) -> None:
    answer = await tenant.client.post("/v1/generations", json=CHAIN)

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/generations/{body['id']}" == body["links"]["self"]
    assert (body["kind"], body["status"]) == ("avatar_scene", "queued")
    assert Decimal(0) < Decimal(body["quote"]["expected_usd"]) <= Decimal(body["quote"]["max_usd"])
    assert body["queue_position"] >= 0
    assert len(answer.headers["x-request-id"]) == 32
    assert await tenant.counts() == {"generation": 1, "asset": 0, "spend": 0}


async def test_an_accepted_generation_reads_back_with_its_request(tenant: Tenant) -> None:
    accepted = (await tenant.client.post("/v1/generations", json=CHAIN)).json()

    body = (await tenant.client.get(accepted["links"]["self"])).json()

    assert body["id"] == accepted["id"]
    assert body["request"]["scene"]["theme"] == "aurora-night"
    assert (body["session_id"], body["tags"], body["pictures"], body["error"]) == ("evening-walk", ["demo"], [], None)


async def test_the_same_key_with_the_same_body_repeats_the_first_answer(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)

    second = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)

    assert second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert (await tenant.counts())["generation"] == 1


async def test_fifty_requests_with_one_key_at_once_make_one_generation(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "storm"}

    answers = await asyncio.gather(
        *(tenant.client.post("/v1/generations", json=AVATAR, headers=headers) for _ in range(50))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await tenant.counts())["generation"] == 1


async def test_what_was_accepted_is_answered_again_although_it_would_be_refused_by_now(tenant: Tenant) -> None:
    headers, gone = {"Idempotency-Key": "order-of-old"}, AVATAR | {"model": "shut/down"}
    first = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)
    refused = await tenant.client.post("/v1/generations", json=gone)
    hash_ = request_hash(TypeAdapter[AnyRequest](GenerationRequest).validate_python(gone))
    await tenant.api.ask(
        "update generation set request_hash = :hash where id = :id returning id",
        hash=hash_,
        id=UUID(first.json()["id"]),
    )

    again = await tenant.client.post("/v1/generations", json=gone, headers=headers)

    assert refused.status_code == 422
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (await tenant.counts())["generation"] == 1


async def test_two_tenants_may_use_the_same_key(tenant: Tenant, stranger: Tenant) -> None:
    headers = {"Idempotency-Key": "same"}

    mine = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)
    theirs = await stranger.client.post("/v1/generations", json=AVATAR, headers=headers)

    assert mine.json()["id"] != theirs.json()["id"]


async def test_a_picture_from_a_url_is_stored_with_its_generation(tenant: Tenant, pictures: PictureHost) -> None:
    body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("to-me")}

    answer = await tenant.client.post("/v1/generations", json=body)

    assert answer.status_code == 202
    assert await tenant.counts() == {"generation": 1, "asset": 1, "spend": 0}
    (key,) = await tenant.objects()
    assert key.startswith(f"{tenant.id}/{answer.json()['id']}/input-")
    (row,) = await tenant.api.ask(
        "select a.id, a.state, g.input_asset_id from asset a join generation g on g.id = a.generation_id "
        "where a.tenant_id = :id",
        id=tenant.id,
    )
    assert row.state == "stored"
    assert row.input_asset_id == row.id
    content = await tenant.client.get(f"/v1/assets/{row.id}/content")
    assert content.headers["content-type"] == "image/png"


async def test_repeating_a_request_with_a_url_fetches_nothing_again(tenant: Tenant, pictures: PictureHost) -> None:
    body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}
    headers = {"Idempotency-Key": "with-picture"}
    first = await tenant.client.post("/v1/generations", json=body, headers=headers)
    asked = len(pictures.asked)

    second = await tenant.client.post("/v1/generations", json=body, headers=headers)

    assert second.json() == first.json()
    assert len(pictures.asked) == asked
    assert len(await tenant.objects()) == 1


async def test_racing_requests_with_a_url_and_one_key_leave_one_picture(tenant: Tenant, pictures: PictureHost) -> None:
    body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}
    headers = {"Idempotency-Key": "race"}

    answers = await asyncio.gather(
        *(tenant.client.post("/v1/generations", json=body, headers=headers) for _ in range(6))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await tenant.objects()) == 1
    states = [row.state for row in await tenant.api.ask("select state from asset where tenant_id = :id", id=tenant.id)]
    assert states.count("stored") == 1
    assert set(states) <= {"stored", "deleted"}


async def test_prefer_wait_holds_the_answer_until_the_generation_has_ended(tenant: Tenant) -> None:
    held = asyncio.create_task(
        tenant.client.post("/v1/generations", json=AVATAR, headers={"Prefer": "respond-async, wait=20"})
    )
    found = await eventually(tenant.generations)
    await tenant.finish(found[0]["id"], "canceled")

    answer = await held

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["status"] == Status.canceled


async def test_prefer_wait_gives_up_after_its_time(tenant: Tenant) -> None:
    answer = await tenant.client.post("/v1/generations", json=AVATAR, headers={"Prefer": "wait=1"})

    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.headers["preference-applied"] == "wait=1"


async def test_an_accepted_generation_is_started_at_the_engine_under_its_own_id(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    body = (await tenant.client.post("/v1/generations", json=CHAIN)).json()
    handle = engine.client.get_workflow_handle(f"generation/{body['id']}")
    await eventually(
        lambda: tenant.api.ask("select 1 from generation where id = :id and dispatched_at is not null", id=body["id"])
    )

    result = await handle.result()
    described = await handle.describe()

    assert result == body["id"]
    assert await described.static_summary() == "avatar, then scene aurora-night"
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes["DioramaKind"] == "avatar_scene"
    assert attributes["DioramaTenant"] == str(tenant.id)


async def test_requests_are_accepted_while_the_engine_is_away(offline_tenant: Tenant) -> None:
    answers = [await offline_tenant.client.post("/v1/generations", json=AVATAR) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    listed = (await offline_tenant.client.get("/v1/generations")).json()["items"]
    assert [one["id"] for one in listed] == [answer.json()["id"] for answer in reversed(answers)]


async def test_the_queue_position_counts_those_ahead(offline_tenant: Tenant) -> None:
    positions = [
        (await offline_tenant.client.post("/v1/generations", json=AVATAR)).json()["queue_position"] for _ in range(3)
    ]

    assert positions[1] - positions[0] == 1
    assert positions[2] - positions[1] == 1
