"""Reading, listing and canceling generations."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from tests.integration.api.running_api import AVATAR, CHAIN, Tenant, eventually

PICTURE: dict[str, Any] = {
    "step": "avatar",
    "asset": {
        "asset_id": str(uuid4()),
        "key": "tenant/generation/avatar-0123.png",
        "sha256": "0" * 64,
        "size_bytes": 1234,
        "content_type": "image/png",
        "width": 1024,
        "height": 1024,
    },
    "provider": "replicate",
    "model": "openai/gpt-image-2.5-flare",
    "cost_usd": "0.05",
}


async def test_a_finished_generation_shows_its_pictures_and_its_cost(tenant: Tenant) -> None:
    accepted = await tenant.accept(CHAIN)
    await tenant.finish(accepted["id"], "succeeded", result={"pictures": [PICTURE]}, cost_usd=Decimal("0.05"))

    body = (await tenant.client.get(accepted["links"]["self"])).json()

    (picture,) = body["pictures"]
    asset_id = PICTURE["asset"]["asset_id"]
    assert (body["status"], body["cost_usd"]) == ("succeeded", "0.050000")
    assert picture["links"]["content"] == f"/v1/assets/{asset_id}/content"
    assert (picture["width"], picture["height"], picture["size_bytes"]) == (1024, 1024, 1234)
    assert "key" not in picture


async def test_a_failed_generation_says_why_and_what_to_do(tenant: Tenant) -> None:
    accepted = await tenant.accept(CHAIN)
    failure = {"code": "policy_refused", "detail": "violence", "step": "scene", "facts": {"category": "violence"}}
    rollback = [{"step": "avatar", "deleted_assets": [str(uuid4())], "canceled_jobs": 0, "remaining": []}]
    await tenant.finish(accepted["id"], "failed", error=failure, rollback=rollback)

    body = (await tenant.client.get(accepted["links"]["self"])).json()

    assert body["error"]["code"] == "policy_refused"
    assert body["error"]["step"] == "scene"
    assert body["error"]["title"] == "The safety filter refused this picture"
    assert body["error"]["suggestion"]
    assert body["rollback"] == rollback


async def test_pages_lead_through_all_generations_newest_first(tenant: Tenant) -> None:
    made = [(await tenant.accept(AVATAR))["id"] for _ in range(5)]
    seen: list[str] = []
    path: str | None = "/v1/generations?limit=2"

    while path:
        answer = await tenant.client.get(path)
        seen += [one["id"] for one in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url")

    assert seen == made[::-1]


async def test_filters_choose_by_kind_session_tag_status_and_time(tenant: Tenant) -> None:
    alone = (await tenant.accept(AVATAR))["id"]
    chain = (await tenant.accept(CHAIN))["id"]
    await tenant.finish(alone, "failed")
    now = datetime.now(UTC)

    async def found(**query: Any) -> list[str]:
        answer = await tenant.client.get("/v1/generations", params=query)
        return [one["id"] for one in answer.json()["items"]]

    assert await found(kind="avatar") == [alone]
    assert await found(session="evening-walk") == [chain]
    assert await found(tag="demo") == [chain]
    assert await found(status="failed") == [alone]
    assert await found(status="failed", tag="demo") == []
    assert await found(created_after=(now + timedelta(hours=1)).isoformat()) == []
    assert await found(created_before=(now + timedelta(hours=1)).isoformat()) == [chain, alone]


async def test_a_list_shows_only_the_tenants_own(tenant: Tenant, stranger: Tenant) -> None:
    await stranger.accept(AVATAR)

    assert await tenant.generations() == []


async def test_canceling_twice_is_one_request_and_reaches_the_engine(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    accepted = await tenant.accept(AVATAR)
    handle = engine.client.get_workflow_handle(f"generation/{accepted['id']}")
    await eventually(
        lambda: tenant.api.ask(
            "select 1 from generation where id = :id and dispatched_at is not null", id=accepted["id"]
        )
    )

    first = await tenant.client.post(accepted["links"]["cancel"])
    second = await tenant.client.post(accepted["links"]["cancel"])

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["cancel_requested"] is True
    events = await tenant.api.ask(
        "select count(*) from event where generation_id = :id and type = 'generation.cancel_requested'",
        id=accepted["id"],
    )
    assert events[0][0] == 1

    async def is_canceled() -> bool:
        await tenant.client.post(accepted["links"]["cancel"])  # what reaches the engine is a hint, which may be lost
        return (await handle.describe()).status is WorkflowExecutionStatus.CANCELED

    assert await eventually(is_canceled)


@pytest.mark.parametrize("status", ["succeeded", "failed", "needs_review"])
async def test_what_has_ended_cannot_be_canceled(tenant: Tenant, status: str) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], status)

    answer = await tenant.client.post(accepted["links"]["cancel"])

    assert (answer.status_code, answer.json()["code"]) == (409, "already_final")
    assert (await tenant.generations())[0]["cancel_requested"] is False


async def test_canceling_what_is_canceled_changes_nothing(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "canceled")

    answer = await tenant.client.post(accepted["links"]["cancel"])

    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")


async def test_a_cancel_is_accepted_while_the_engine_is_away(offline_tenant: Tenant) -> None:
    accepted = await offline_tenant.accept(AVATAR)

    answer = await offline_tenant.client.post(accepted["links"]["cancel"])

    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
