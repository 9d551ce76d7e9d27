"""After a failure: what somebody can do is told to its owner, and doing it is one call that never counts twice."""

from typing import Any
from uuid import UUID

import pytest

from contracts.statuses import SpendState
from db.columns import now
from db.models import Generation
from tests.integration.api.running_api import Tenant
from tests.integration.money_rows import a_purchase

IMAGE: dict[str, Any] = {
    "kind": "image",
    "prompt": "a gory battle",
    "model": "openai/gpt-image-2.5-flare",
    "tags": ["a"],
}


async def failed(tenant: Tenant, code: str = "policy_refused", **facts: Any) -> dict[str, Any]:
    accepted = await tenant.accept(IMAGE)
    failure = {"code": code, "detail": "Refused", "step": "variant-1", "facts": facts}
    await tenant.finish(accepted["id"], "failed", error=failure)
    body: dict[str, Any] = (await tenant.client.get(accepted["links"]["self"])).json()
    return body


async def test_a_refused_prompt_is_read_with_other_words_for_it(tenant: Tenant) -> None:
    error = (await failed(tenant, category="violence/graphic"))["error"]

    assert (error["suggested_field"], error["suggested_prompt"]) == ("/prompt", "a dramatic battle")


async def test_other_words_are_told_to_whoever_reads_the_generation_and_stand_in_no_list_and_no_event(
    tenant: Tenant,
) -> None:
    body = await failed(tenant, category="violence")
    (listed,) = await tenant.generations()
    events = await tenant.api.ask("select data::text from event where generation_id = :id", id=body["id"])

    assert listed["error"]["suggested_prompt"] is None
    assert all("dramatic" not in row[0] for row in events)


async def test_a_failure_leads_to_its_retry_and_to_others_who_could_make_it(tenant: Tenant) -> None:
    body = await failed(tenant, "model_failed")

    error = body["error"]
    assert error["links"] == {"retry": f"/v1/generations/{body['id']}/retry", "models": "/v1/models"}
    models = [(one["provider"], one["model"]) for one in error["alternatives"]]
    assert models
    assert len(set(models)) == len(models) <= 5
    assert all(float(one["expected_usd"]) > 0 for one in error["alternatives"])


async def test_nobody_is_named_at_a_provider_that_refused_the_key(tenant: Tenant) -> None:
    body = await failed(tenant, "model_failed")
    others = {one["provider"] for one in body["error"]["alternatives"]}
    async with tenant.api.database.transaction() as session:
        generation = await session.get_one(Generation, UUID(body["id"]))
        purchase = a_purchase(generation, "0", provider="replicate")
        purchase.state, purchase.ended_at, purchase.error_code = SpendState.released, now(), "own_key_refused"
        session.add(purchase)

    error = (await tenant.client.get(body["links"]["self"])).json()["error"]

    assert {one["provider"] for one in error["alternatives"]} == others - {"replicate"} != others


async def test_what_people_decide_has_no_links(tenant: Tenant) -> None:
    accepted = await tenant.accept(IMAGE)
    failure = {"code": "outcome_unknown", "detail": "Unknown", "step": "variant-1", "facts": {}}
    await tenant.finish(accepted["id"], "needs_review", error=failure)

    error = (await tenant.client.get(accepted["links"]["self"])).json()["error"]

    assert (error["links"], error["alternatives"]) == (None, [])


async def test_a_retry_is_a_new_generation_and_the_same_one_when_it_is_asked_for_twice(tenant: Tenant) -> None:
    body = await failed(tenant)
    link = body["error"]["links"]["retry"]

    first = await tenant.client.post(link, json={})
    again = await tenant.client.post(link, json={})
    other = await tenant.client.post(link, json={"quality": "low"})

    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    assert first.json()["id"] == again.json()["id"] != body["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.json()["id"] not in {first.json()["id"], body["id"]}
    made = (await tenant.client.get(first.json()["links"]["self"])).json()
    assert (made["request"], made["tags"]) == (body["request"], ["a"])


async def test_a_retry_in_other_words_keeps_all_else(tenant: Tenant) -> None:
    body = await failed(tenant, category="violence")

    answer = await tenant.client.post(
        body["error"]["links"]["retry"], json={"prompt": body["error"]["suggested_prompt"]}
    )

    made = (await tenant.client.get(answer.json()["links"]["self"])).json()
    assert made["request"] == body["request"] | {"prompt": "a dramatic battle"}


async def test_a_key_of_the_clients_own_allows_a_second_retry(tenant: Tenant) -> None:
    link = (await failed(tenant))["error"]["links"]["retry"]

    ids = {
        (await tenant.client.post(link, json={}, headers=headers)).json()["id"]
        for headers in ({}, {"Idempotency-Key": "second"})
    }

    assert len(ids) == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"provider": "nobody"}, 422, "unknown_model"),
        ({"colour": "red"}, 422, "invalid_request"),
        ({"strategy": "pinned"}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
async def test_a_retry_that_cannot_be_is_refused(tenant: Tenant, body: Any, status: int, code: str) -> None:
    link = (await failed(tenant))["error"]["links"]["retry"]

    answer = await tenant.client.post(link, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_failures_are_sent_again_and_only_their_owners_can(tenant: Tenant, stranger: Tenant) -> None:
    accepted = await tenant.accept(IMAGE)
    retry = f"{accepted['links']['self']}/retry"

    early = await tenant.client.post(retry, json={})
    foreign = await stranger.client.post(retry, json={})

    assert (early.status_code, early.json()["code"]) == (409, "not_retryable")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")


async def test_a_refusal_says_who_could_make_it_where_somebody_was_named(tenant: Tenant) -> None:
    wanted = IMAGE | {"model": "openai/gpt-image-1"}

    named = (await tenant.client.post("/v1/generations", json=wanted)).json()

    assert (named["code"], named["links"]) == ("model_retired", {"models": "/v1/models"})
    assert "openai/gpt-image-2.5-flare" in {one["model"] for one in named["alternatives"]}
