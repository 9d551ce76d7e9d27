"""Budgets over HTTP: who may set and see which, and what a request is told that does not fit."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest

from tests.integration.api.openai_client import client_of
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, new_tenant

BUDGETS = "/v1/budgets"


async def admin_of(tenant: Tenant, scopes: str = "{generate,read,admin}") -> Tenant:
    """The tenant, with its key allowed to decide about it; before the key is used."""
    await tenant.api.ask(
        "update api_key set scopes = cast(cast(:scopes as text) as text[]) where tenant_id = :id",
        scopes=scopes,
        id=tenant.id,
    )
    return tenant


@pytest.fixture
async def admin(tenant: Tenant) -> Tenant:
    return await admin_of(tenant)


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    """An operator; all budgets are ended afterwards, as those of the system and of providers are everybody's."""
    async with new_tenant(api, operator=True) as operator:
        yield operator
        await api.ask("update budget set removed_at = now() where removed_at is null")


def key_id(tenant: Tenant) -> str:
    return tenant.key.split("_")[1]


async def set_budget(who: Tenant, **wanted: Any) -> dict[str, Any]:
    answer = await who.client.post(BUDGETS, json={"of": "tenant", "period": "day"} | wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(who: Tenant) -> list[dict[str, Any]]:
    answer = await who.client.get(BUDGETS, params={"limit": 100})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def asked(tenant: Tenant) -> httpx.Response:
    return await tenant.client.post("/v1/generations", json=AVATAR)


async def price(tenant: Tenant) -> Decimal:
    return Decimal((await tenant.client.post("/v1/quotes", json=AVATAR)).json()["max_usd"])


async def test_a_budget_counts_what_was_promised_and_spent_before_it_was_set(admin: Tenant) -> None:
    first, _ = await admin.accept(AVATAR), await admin.accept(AVATAR)
    await admin.finish(first["id"], "succeeded", cost_usd=Decimal("0.01"))
    one = await price(admin)

    budget = await set_budget(admin, limit_usd="5.00")

    assert (Decimal(budget["held_usd"]), Decimal(budget["spent_usd"])) == (one, Decimal("0.01"))
    assert Decimal(budget["left_usd"]) == 5 - one - Decimal("0.01")
    assert (budget["of"], budget["owner"], budget["set_by_operator"]) == ("tenant", str(admin.id), False)


async def test_a_request_that_does_not_fit_is_told_which_budget_how_much_is_left_and_when_it_is_whole(
    admin: Tenant,
) -> None:
    one = await price(admin)
    budget = await set_budget(admin, of="key", owner=key_id(admin), limit_usd=str(one * 3 / 2))

    accepted, refused = await asked(admin), await asked(admin)

    problem = refused.json()
    assert (accepted.status_code, refused.status_code) == (202, 402)
    assert refused.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["of"], problem["period"]) == ("budget_exhausted", "key", "day")
    assert Decimal(problem["left_usd"]) == one / 2
    assert Decimal(problem["wanted_usd"]) == one
    assert problem["resets_at"] == budget["resets_at"]
    assert "retry-after" not in refused.headers
    assert (await admin.counts())["generation"] == 1


async def test_nothing_is_left_of_a_refused_request_that_brought_a_picture(
    admin: Tenant, pictures: PictureHost
) -> None:
    await set_budget(admin, limit_usd="0")
    body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}

    refused = await admin.client.post("/v1/generations", json=body, headers={"Idempotency-Key": "refused"})

    assert refused.status_code == 402
    assert await admin.objects() == []
    states = [row.state for row in await admin.api.ask("select state from asset where tenant_id = :id", id=admin.id)]
    assert set(states) <= {"deleted"}
    assert (await admin.counts())["generation"] == 0


async def test_a_request_that_was_accepted_is_repeated_although_its_budget_is_used_up(admin: Tenant) -> None:
    await set_budget(admin, limit_usd=str(await price(admin)))
    headers = {"Idempotency-Key": "once"}

    answers = await asyncio.gather(
        *(admin.client.post("/v1/generations", json=AVATAR, headers=headers) for _ in range(10))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await asked(admin)).status_code == 402


async def test_openais_client_is_told_of_a_used_up_budget_as_openai_tells_it(admin: Tenant) -> None:
    await set_budget(admin, limit_usd="0")

    async with client_of(admin, max_retries=2) as client:
        with pytest.raises(openai.RateLimitError) as refused:
            await client.images.generate(model="gpt-image-2.5-flare", prompt="a fox")

    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert (await admin.counts())["generation"] == 0


async def test_a_quote_says_whether_it_fits(admin: Tenant, operator: Tenant) -> None:
    one = await price(admin)
    await set_budget(admin, limit_usd=str(one))
    await set_budget(operator, of="tenant", owner=str(admin.id), period="month", limit_usd=str(one / 2))
    await set_budget(operator, of="system", limit_usd="1000")
    await set_budget(admin, limit_usd="0", hard=False)

    quote = (await admin.client.post("/v1/quotes", json=AVATAR)).json()

    told = [(room["of"], room["period"], room["fits"]) for room in quote["budgets"]]
    assert told == [("tenant", "day", True), ("tenant", "month", False), ("system", "day", True)]
    assert [room["left_usd"] and Decimal(room["left_usd"]) for room in quote["budgets"]] == [one, one / 2, None]


async def test_a_new_limit_takes_the_place_of_the_one_before(admin: Tenant) -> None:
    before = await set_budget(admin, limit_usd="0")

    after = await set_budget(admin, limit_usd="5.00", note="more work")

    assert [one["id"] for one in await listed(admin)] == [after["id"]] != [before["id"]]
    assert (await asked(admin)).status_code == 202


async def test_a_tenant_cannot_loosen_what_an_operator_set(admin: Tenant, operator: Tenant) -> None:
    theirs = await set_budget(operator, of="tenant", owner=str(admin.id), limit_usd="0")

    mine = await set_budget(admin, limit_usd="1000")
    removed = await admin.client.delete(f"{BUDGETS}/{theirs['id']}")

    assert removed.status_code == 404
    assert [one["id"] for one in await listed(admin)] == [mine["id"]]
    assert {theirs["id"], mine["id"]} <= {one["id"] for one in await listed(operator)}
    assert (await asked(admin)).status_code == 402


async def test_a_rotated_keys_budget_goes_on_with_what_was_used_of_it(admin: Tenant) -> None:
    one = await price(admin)
    await set_budget(admin, of="key", owner=key_id(admin), limit_usd=str(one * 3 / 2))
    await admin.accept(AVATAR)

    new = (await admin.client.post(f"/v1/keys/{key_id(admin)}/rotate", json={})).json()
    as_new = {"Authorization": f"Bearer {new['api_key']}"}
    refused = await admin.client.post("/v1/generations", json=AVATAR, headers=as_new)
    (room,) = (await admin.client.post("/v1/quotes", json=AVATAR, headers=as_new)).json()["budgets"]
    raised = await set_budget(admin, of="key", owner=new["id"], limit_usd=str(one * 5 / 2))
    accepted = await admin.client.post("/v1/generations", json=AVATAR, headers=as_new)

    assert (refused.status_code, refused.json()["code"], room["fits"]) == (402, "budget_exhausted", False)
    assert raised["owner"] == new["budget_key"] == key_id(admin)
    assert (Decimal(raised["held_usd"]), accepted.status_code) == (one, 202)
    assert [budget["id"] for budget in await listed(admin)] == [raised["id"]]


async def test_a_tenant_does_not_shed_an_operators_budget_of_a_key_by_rotating_it(
    admin: Tenant, operator: Tenant
) -> None:
    await set_budget(operator, of="key", owner=key_id(admin), limit_usd="0")

    new = (await admin.client.post(f"/v1/keys/{key_id(admin)}/rotate", json={})).json()
    as_new = {"Authorization": f"Bearer {new['api_key']}"}
    again = (await admin.client.post(f"/v1/keys/{new['id']}/rotate", json={}, headers=as_new)).json()
    as_newest = {"Authorization": f"Bearer {again['api_key']}"}
    answers = [
        await admin.client.post("/v1/generations", json=AVATAR, headers=headers) for headers in ({}, as_new, as_newest)
    ]

    assert [answer.status_code for answer in answers] == [402] * 3


async def test_a_removed_budget_refuses_nothing(admin: Tenant) -> None:
    budget = await set_budget(admin, limit_usd="0")
    assert (await asked(admin)).status_code == 402

    removed = await admin.client.delete(f"{BUDGETS}/{budget['id']}")
    again = await admin.client.delete(f"{BUDGETS}/{budget['id']}")

    assert (removed.status_code, again.status_code) == (204, 404)
    assert (await asked(admin)).status_code == 202
    assert await listed(admin) == []


async def test_a_budget_of_another_tenant_is_as_unknown_as_one_that_there_never_was(
    admin: Tenant, stranger: Tenant
) -> None:
    theirs = await set_budget(await admin_of(stranger), limit_usd="5.00")

    gone = [await admin.client.delete(f"{BUDGETS}/{one}") for one in (theirs["id"], uuid4())]
    wanted = [{"of": "key", "owner": owner} for owner in (key_id(stranger), "000000000000")]
    wanted += [{"of": "tenant", "owner": owner} for owner in (str(stranger.id), str(uuid4()), "nobody")]
    made = [await admin.client.post(BUDGETS, json=one | {"period": "day", "limit_usd": "1"}) for one in wanted]

    assert {answer.status_code for answer in (*gone, *made)} == {404}
    assert len(await listed(stranger)) == 1


@pytest.mark.parametrize("wanted", [{"of": "system"}, {"of": "provider", "owner": "replicate"}])
async def test_only_operators_decide_about_the_system_and_its_providers(
    admin: Tenant, operator: Tenant, wanted: dict[str, Any]
) -> None:
    refused = await admin.client.post(BUDGETS, json=wanted | {"period": "month", "limit_usd": "100"})

    budget = await set_budget(operator, **wanted, period="month", limit_usd="100")

    assert (refused.status_code, refused.json()["code"]) == (403, "not_an_operator")
    assert (budget["set_by_operator"], budget["owner"]) == (True, wanted.get("owner", ""))


async def test_what_is_left_of_the_systems_money_is_nobodys_business(admin: Tenant, operator: Tenant) -> None:
    await set_budget(operator, of="system", limit_usd="0")

    problem = (await asked(admin)).json()

    assert (problem["code"], problem["of"]) == ("budget_exhausted", "system")
    assert not {"left_usd", "limit_usd", "budget_id"} & set(problem)


@pytest.mark.parametrize(
    "wanted",
    [
        {"of": "key"},
        {"of": "tenant", "limit_usd": "-1"},
        {"of": "tenant", "limit_usd": "NaN"},
        {"of": "tenant", "limit_usd": "0.0000001"},
        {"of": "tenant", "period": "week"},
        {"of": "everybody"},
        {"of": "key", "owner": "a\u0000"},
        {"of": "tenant", "note": "a\u0000"},
    ],
)
async def test_what_is_no_budget_is_refused(admin: Tenant, wanted: dict[str, Any]) -> None:
    answer = await admin.client.post(BUDGETS, json={"period": "day", "limit_usd": "1"} | wanted)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_without_the_scope_budgets_are_neither_seen_nor_set(tenant: Tenant) -> None:
    await admin_of(tenant, scopes="{generate,read}")
    answers = [
        await tenant.client.get(BUDGETS),
        await tenant.client.post(BUDGETS, json={"of": "tenant", "period": "day", "limit_usd": "1"}),
        await tenant.client.delete(f"{BUDGETS}/{uuid4()}"),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "scope_missing")}


async def test_every_decision_about_budgets_is_on_record(admin: Tenant) -> None:
    budget = await set_budget(admin, limit_usd="5.00", note="as agreed")
    await admin.client.delete(f"{BUDGETS}/{budget['id']}")

    query = "select action, actor, note, facts from audit where subject = 'budget' and subject_id = :id order by id"
    entries = await admin.api.ask(query, id=budget["id"])

    assert [entry.action for entry in entries] == ["budget.set", "budget.removed"]
    assert {entry.actor for entry in entries} == {f"key:{key_id(admin)}"}
    assert entries[0].note == "as agreed"
    assert {Decimal(entry.facts["limit_usd"]) for entry in entries} == {Decimal(5)}


async def test_budgets_are_listed_page_by_page(admin: Tenant) -> None:
    made = [
        await set_budget(admin, period=period, hard=hard, limit_usd="5.00")
        for period in ("day", "month")
        for hard in (True, False)
    ]

    seen, path = [], f"{BUDGETS}?limit=3"
    while path:
        answer = await admin.client.get(path)
        seen += [one["id"] for one in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url", "")

    assert seen == [one["id"] for one in made]
