"""What answers tell of money in their headers."""

from decimal import Decimal

import httpx
import pytest

from tests.integration.api.openai_client import newest, succeed, worked_on
from tests.integration.api.running_api import AVATAR, Tenant, eventually
from tests.integration.api.test_api_budgets import admin_of, set_budget

REFUSED = {"code": "policy_refused", "detail": "refused"}
HEADERS = ("X-Cost-USD", "X-Cost-Max-USD", "X-Budget-Left-USD")


def told(answer: httpx.Response) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(name) for name in HEADERS)


def usd(amount: Decimal | str) -> str:
    return f"{Decimal(amount):.6f}"


async def test_a_request_is_told_its_highest_price_and_its_cost_when_that_is_known(tenant: Tenant) -> None:
    accepted = await tenant.client.post("/v1/generations", json=AVATAR)
    most = usd(accepted.json()["quote"]["max_usd"])
    path = accepted.headers["Location"]
    running = await tenant.client.get(path)
    await tenant.finish(accepted.json()["id"], "succeeded", cost_usd=Decimal("0.0125"))
    ended = await tenant.client.get(path)

    assert [told(answer) for answer in (accepted, running, ended)] == [
        (None, most, None),
        (None, most, None),
        ("0.012500", most, None),
    ]


async def test_a_repeated_request_is_told_the_same_price(tenant: Tenant) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = [await tenant.client.post("/v1/generations", json=AVATAR, headers=key) for _ in range(2)]

    assert told(first) == told(second)


async def test_who_waits_for_the_end_is_told_the_cost(tenant: Tenant) -> None:
    first = await tenant.client.post("/v1/generations", json=AVATAR, headers={"Idempotency-Key": "once"})
    await tenant.finish(first.json()["id"], "failed", cost_usd=Decimal("0.02"))

    waited = await tenant.client.post(
        "/v1/generations", json=AVATAR, headers={"Idempotency-Key": "once", "Prefer": "wait=5"}
    )

    assert (waited.status_code, told(waited)[0]) == (200, "0.020000")


async def test_what_is_left_is_that_of_the_nearest_hard_budget(tenant: Tenant) -> None:
    admin = await admin_of(tenant)
    await set_budget(admin, limit_usd="50.00")
    await set_budget(admin, limit_usd="20.00", period="month")
    await set_budget(admin, limit_usd="1.00", hard=False)

    accepted = await admin.client.post("/v1/generations", json=AVATAR)
    most = Decimal(accepted.json()["quote"]["max_usd"])
    read = await admin.client.get(accepted.headers["Location"])

    assert told(accepted)[2] == told(read)[2] == usd(20 - most)


async def test_what_is_left_is_not_asked_for_at_each_request(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.cost_headers.REMEMBER_S", 600.0)
    admin = await admin_of(tenant)
    await set_budget(admin, limit_usd="50.00")
    accepted = await admin.client.post("/v1/generations", json=AVATAR)
    await admin.api.ask("update budget set limit_usd = 40 where tenant_id = :id", id=admin.id)
    soon = await admin.client.get(accepted.headers["Location"])

    assert told(soon)[2] == told(accepted)[2] == usd(50 - Decimal(accepted.json()["quote"]["max_usd"]))


async def test_a_budget_that_is_set_later_is_told_of_soon(tenant: Tenant) -> None:
    admin = await admin_of(tenant)
    accepted = await admin.client.post("/v1/generations", json=AVATAR)
    assert told(accepted)[2] is None
    await set_budget(admin, limit_usd="50.00")

    async def told_of() -> bool:
        return told(await admin.client.get(accepted.headers["Location"]))[2] is not None

    assert await eventually(told_of)


async def test_a_call_in_openais_form_is_told_what_it_cost_also_when_it_failed(tenant: Tenant) -> None:
    admin = await admin_of(tenant)
    await set_budget(admin, limit_usd="50.00")

    async def refuse() -> None:
        generation = await newest(admin, 1)
        await admin.finish(generation, "failed", cost_usd=Decimal("0.03"), error=REFUSED)

    async def make() -> None:
        await succeed(admin, await newest(admin, 2))

    async with worked_on(refuse):
        failed = await admin.client.post("/v1/images/generations", json={"prompt": "a lighthouse"})
    async with worked_on(make):
        made = await admin.client.post("/v1/images/generations", json={"prompt": "a lighthouse"})

    row = (await admin.generations())[0]
    assert (failed.status_code, made.status_code) == (400, 200)
    most = usd(row["quote_max_usd"])
    assert told(failed) == ("0.030000", most, None)
    assert told(made)[:2] == (usd(row["cost_usd"]), most)
    assert Decimal(made.headers["X-Budget-Left-USD"]) == 50 - Decimal("0.03") - Decimal(row["cost_usd"])


async def test_a_stream_in_openais_form_is_told_its_price_before_it_begins(tenant: Tenant) -> None:
    async def make() -> None:
        await succeed(tenant, await newest(tenant, 1))

    async with worked_on(make):
        streamed = await tenant.client.post("/v1/images/generations", json={"prompt": "a lighthouse", "stream": True})

    row = (await tenant.generations())[0]
    assert told(streamed) == (None, usd(row["quote_max_usd"]), None)


async def test_the_openapi_document_describes_them(tenant: Tenant) -> None:
    paths = (await tenant.client.get("/openapi.json")).json()["paths"]

    answers = {
        ("/v1/generations", "post"): ("200", "202"),
        ("/v1/generations/{generation_id}", "get"): ("200",),
        ("/v1/images/generations", "post"): ("200",),
        ("/v1/images/edits", "post"): ("200",),
    }
    for (path, method), statuses in answers.items():
        for status in statuses:
            assert {*HEADERS} <= {*paths[path][method]["responses"][status]["headers"]}, path
