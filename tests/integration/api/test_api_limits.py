"""How fast and how much tenants may ask: over HTTP, over OpenAI's calls, over WebSockets, and over several processes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from api.wrong_keys import PER_MINUTE
from db import keys, tenants
from db.audit import COMMAND
from storage.memory import MemoryStorage
from tests.integration.api.api_processes import api_processes
from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, new_tenant, running_api, settings_for
from tests.integration.patience import HTTP_S

IMAGES = {"prompt": "a small red cabin"}
PROCESSES = 3


async def limit(tenant: Tenant, **figures: int) -> None:
    """From the next request on: the API was not asked by this tenant before."""
    async with tenant.api.database.transaction() as session:
        await tenants.change(session, COMMAND, tenant.id, figures)


async def limited_key(tenant: Tenant, per_minute: int) -> dict[str, str]:
    made = (await tenant.client.post("/v1/keys", json={"name": "slow", "requests_per_minute": per_minute})).json()
    return {"Authorization": f"Bearer {made['api_key']}"}


async def test_a_limited_caller_is_told_how_much_is_left_and_then_to_wait(tenant: Tenant) -> None:
    await limit(tenant, requests_per_minute=3)
    begun = monotonic()

    answers = [await tenant.client.get("/v1/generations") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert answers[0].headers["RateLimit-Reset"] == "20"
    problem = answers[3].json()
    assert {name: problem[name] for name in ("code", "limit", "of", "per")} == {
        "code": "rate_limited",
        "limit": 3,
        "of": "tenant",
        "per": "minute",
    }
    assert answers[3].headers["Retry-After"] == str(problem["retry_after_s"])
    assert 19 - (monotonic() - begun) <= problem["retry_after_s"] <= 20
    assert answers[3].headers["Content-Type"] == "application/problem+json"


async def test_who_has_no_limit_is_told_of_none_and_nothing_is_counted(tenant: Tenant) -> None:
    answer = await tenant.client.get("/v1/generations")

    counted = await tenant.api.ask("select 1 from rate_limit where name like :name", name=f"%{tenant.id}%")
    assert [name for name in answer.headers if name.startswith("ratelimit")] == []
    assert list(counted) == []


async def test_a_key_with_a_limit_leaves_the_other_keys_of_its_tenant_alone(tenant: Tenant) -> None:
    slow = await limited_key(tenant, 1)

    answers = [await tenant.client.get("/v1/generations", headers=slow) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["of"] == "key"
    assert (await tenant.client.get("/v1/generations")).status_code == 200


async def test_a_request_that_does_not_fit_the_tenants_limit_is_not_counted_by_the_keys(tenant: Tenant) -> None:
    slow = await limited_key(tenant, 10)
    await limit(tenant, requests_per_minute=2)
    begun = monotonic()

    async with new_tenant(tenant.api) as other:  # its authenticator has not met the key yet
        statuses = [(await other.client.get("/v1/generations", headers=slow)).status_code for _ in range(6)]

    rows = await tenant.api.ask(
        "select extract(epoch from next_at - now()) from rate_limit where name = :name",
        name=f"key:{keys.id_of(slow['Authorization'].removeprefix('Bearer '))}",
    )
    assert statuses == [200, 200, 429, 429, 429, 429]
    two_of_ten_a_minute = 2 * 6
    assert two_of_ten_a_minute - 1 - (monotonic() - begun) <= rows[0][0] <= two_of_ten_a_minute


async def test_openais_calls_are_refused_in_openais_words(tenant: Tenant) -> None:
    await limit(tenant, requests_per_minute=1)
    begun = monotonic()
    await tenant.client.get("/v1/generations")

    answer = await tenant.client.post("/v1/images/generations", json=IMAGES)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert 59 - (monotonic() - begun) <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["x-should-retry"] == "true"


@pytest.mark.parametrize(
    ("figures", "again"), [({"in_flight": 0}, "true"), ({"per_day": 0}, "false")], ids=["queue", "day"]
)
async def test_openais_calls_are_told_of_quotas_as_of_limits(
    tenant: Tenant, figures: dict[str, int], again: str
) -> None:
    await limit(tenant, **figures)

    answer = await tenant.client.post("/v1/images/generations", json=IMAGES)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert (answer.headers["x-should-retry"], int(answer.headers["Retry-After"]) > 0) == (again, True)


async def test_a_tenant_may_have_so_many_under_way_and_the_refusal_leaves_no_trace(tenant: Tenant) -> None:
    await limit(tenant, in_flight=2)
    accepted = [await tenant.accept(AVATAR) for _ in range(2)]

    refused = await tenant.client.post("/v1/generations", json=AVATAR)
    counts = await tenant.counts()
    await tenant.finish(accepted[0]["id"], "succeeded")
    afterwards = await tenant.client.post("/v1/generations", json=AVATAR)

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["limit"], problem["of"]) == (429, "queue_full", 2, "tenant")
    assert refused.headers["Retry-After"] == "10"
    assert (counts["generation"], afterwards.status_code) == (2, 202)


async def test_a_tenant_may_have_so_many_in_a_day_however_they_ended(tenant: Tenant) -> None:
    await limit(tenant, per_day=1)
    accepted = await tenant.accept(AVATAR)
    await tenant.finish(accepted["id"], "canceled")

    refused = await tenant.client.post("/v1/generations", json=AVATAR)

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["limit"]) == (429, "daily_quota_exhausted", 1)
    assert problem["resets_at"].endswith("T00:00:00Z")


async def test_a_request_that_was_accepted_is_answered_again_although_nothing_more_fits(tenant: Tenant) -> None:
    await limit(tenant, in_flight=1, per_day=1)
    headers = {"Idempotency-Key": "the-only-one"}

    answers = await asyncio.gather(
        *(tenant.client.post("/v1/generations", json=AVATAR, headers=headers) for _ in range(10))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_picture_behind_a_url_is_not_fetched_for_what_cannot_be_accepted(tenant: Tenant) -> None:
    await limit(tenant, in_flight=0)
    scene = {"kind": "scene", "scene": {"theme": "aurora-night"}, "image_url": "https://nowhere.invalid/picture.png"}

    refused = await tenant.client.post("/v1/generations", json=scene)

    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")


async def test_following_counts_as_one_request(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    slow = await limited_key(tenant, 1)
    url = f"{tenant.api.url.replace('http', 'ws', 1)}/v1/generations/{accepted['id']}/ws"

    async with connect(url, additional_headers=slow, open_timeout=HTTP_S) as first:
        snapshot = await first.recv()
        async with connect(url, additional_headers=slow, open_timeout=HTTP_S) as second:
            with pytest.raises(ConnectionClosed):
                await second.recv()

    assert '"snapshot"' in str(snapshot)
    assert second.close_code == 4429


async def test_a_websocket_takes_a_key_that_may_read(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    made = (await tenant.client.post("/v1/keys", json={"name": "writes", "scopes": ["generate"]})).json()
    url = f"{tenant.api.url.replace('http', 'ws', 1)}/v1/generations/{accepted['id']}/ws"

    async with connect(
        url, additional_headers={"Authorization": f"Bearer {made['api_key']}"}, open_timeout=HTTP_S
    ) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()

    assert (websocket.close_code, websocket.close_reason) == (4403, "scope_missing")


@pytest.fixture
async def own_api(api_database_url: str) -> AsyncIterator[RunningApi]:
    """An API whose memory no other test has filled."""
    async with running_api(settings_for(api_database_url, "127.0.0.1:9"), MemoryStorage()) as running:
        yield running


async def test_who_sends_many_wrong_keys_is_told_to_wait(own_api: RunningApi) -> None:
    refused: list[httpx.Response] = []
    looked_at = 0
    async with new_tenant(own_api) as tenant, httpx.AsyncClient(base_url=own_api.url, timeout=HTTP_S) as client:
        await tenant.client.get("/v1/themes")
        while not refused:
            wrong = {"Authorization": f"Bearer {keys.new_key()}"}
            answer = await client.get("/v1/themes", headers=wrong)
            refused += [answer] if answer.status_code == 429 else []
            looked_at += answer.status_code == 401
        known = await tenant.client.get("/v1/themes")

    assert looked_at >= PER_MINUTE
    assert (refused[0].json()["of"], int(refused[0].headers["Retry-After"]) <= 2) == ("address", True)
    assert known.status_code == 200


async def test_three_processes_share_one_limit_and_one_quota(
    api_database_url: str, engine: WorkflowEnvironment, api: RunningApi, tmp_path: Path
) -> None:
    settings = settings_for(api_database_url, engine.client.service_client.config.target_host)
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(api_processes(settings, PROCESSES, log=tmp_path / "apis.log"))
        fast, many = [await stack.enter_async_context(new_tenant(api)) for _ in range(2)]
        await limit(fast, requests_per_minute=1)  # its pace is too slow for the test's own time to matter
        await limit(many, in_flight=20, per_day=30)

        looked = await _at_once(urls, fast, "GET", 60)
        ordered = await _at_once(urls, many, "POST", 60)
        await many.api.ask(
            "update generation set status = 'canceled', finished_at = now() where tenant_id = :id", id=many.id
        )
        more = await _at_once(urls, many, "POST", 60)

    assert looked == {(200, None): 1, (429, "rate_limited"): 59}
    assert ordered == {(202, None): 20, (429, "queue_full"): 40}
    assert more == {(202, None): 10, (429, "daily_quota_exhausted"): 50}


async def _at_once(urls: list[str], tenant: Tenant, method: str, times: int) -> Counter[tuple[int, Any]]:
    """How often each (status, code) was the answer to so many requests, spread over the processes."""
    asked = (_asked(f"{urls[number % len(urls)]}/v1/generations", tenant, method) for number in range(times))
    return Counter((answer.status_code, answer.json().get("code")) for answer in await asyncio.gather(*asked))


async def _asked(url: str, tenant: Tenant, method: str) -> httpx.Response:
    """The answer; a machine that is too busy to answer in time is asked again, as clients do."""
    headers, body = {"Idempotency-Key": str(uuid4())}, AVATAR if method == "POST" else None
    while True:
        answer = await tenant.client.request(method, url, json=body, headers=headers)
        if answer.status_code != 503:
            return answer
