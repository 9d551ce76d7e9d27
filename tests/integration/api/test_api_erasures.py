"""Erasures over HTTP: hidden at once, on record, and nobody else's business."""

from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.testing import WorkflowEnvironment

from db import erasures
from db.columns import now
from tests.integration.api.running_api import AVATAR, CHAIN, Tenant, eventually


async def test_a_user_vanishes_at_once_and_the_engine_is_told_without_a_name(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    live = await tenant.accept(CHAIN | {"user_id": "anna"})
    ended = await tenant.accept(AVATAR | {"user_id": "anna"})
    other = await tenant.accept(AVATAR | {"user_id": "berta"})
    await tenant.finish(ended["id"], "succeeded")

    answer = await tenant.client.post("/v1/erasures", json={"user_id": "anna"})
    again = await tenant.client.post("/v1/erasures", json={"user_id": "anna"})

    assert answer.status_code == 202
    erasure = answer.json()
    assert again.json()["id"] == erasure["id"]
    assert (erasure["subject"], erasure["receipt"], erasure["verified_at"]) == ("user", None, None)
    assert "anna" not in answer.text
    assert [one["id"] for one in await tenant.generations()] == [other["id"]]
    assert (await tenant.client.get(live["links"]["self"])).status_code == 404
    assert (await tenant.client.get(erasure["links"]["self"])).json() == erasure
    name = f"erasure/{erasure['id']}"

    async def is_erasing() -> bool:
        return [found async for found in engine.client.list_workflows(f"WorkflowId = '{name}'")] != []

    assert await eventually(is_erasing)


async def test_a_wish_is_on_record_by_a_hash(tenant: Tenant) -> None:
    await tenant.accept(CHAIN)
    erasure = (await tenant.client.post("/v1/erasures", json={"session_id": "evening-walk"})).json()

    (row,) = await tenant.api.ask(
        "select action, facts, audit::text as whole from audit where tenant_id = :id", id=tenant.id
    )

    assert row.action == "erasure.requested"
    assert row.facts == {"of": "session", "subject_hash": erasure["subject_hash"], "generations": 1, "live": 1}
    assert "evening-walk" not in row.whole


async def test_another_tenants_wish_is_not_there(tenant: Tenant, stranger: Tenant) -> None:
    erasure = (await tenant.client.post("/v1/erasures", json={"user_id": "anna"})).json()

    unseen = await stranger.client.get(erasure["links"]["self"])
    missing = await stranger.client.get(f"/v1/erasures/{UUID(int=1)}")

    assert unseen.status_code == missing.status_code == 404
    assert unseen.json()["detail"] == missing.json()["detail"]


async def test_another_tenants_user_of_the_same_name_stays(tenant: Tenant, stranger: Tenant) -> None:
    kept = await stranger.accept(AVATAR | {"user_id": "anna"})

    await tenant.client.post("/v1/erasures", json={"user_id": "anna"})

    assert (await stranger.client.get(kept["links"]["self"])).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"user_id": "a", "session_id": "b"}, {"user_id": ""}, {"user_id": "a b"}, {"who": "a"}]
)
async def test_exactly_one_subject_must_be_named(tenant: Tenant, body: dict[str, str]) -> None:
    assert (await tenant.client.post("/v1/erasures", json=body)).status_code == 422


async def test_a_wish_whose_start_was_lost_is_found_by_the_sweep_of_others(offline_tenant: Tenant) -> None:
    erasure = (await offline_tenant.client.post("/v1/erasures", json={"user_id": "anna"})).json()

    async with offline_tenant.api.database.transaction() as session:
        found = await erasures.unverified(session, before=now(), limit=1000)
        young = await erasures.unverified(session, before=now() - timedelta(hours=1), limit=1000)

    assert erasure["id"] in {str(one.id) for one in found}
    assert erasure["id"] not in {str(one.id) for one in young}
