"""Tenants over HTTP: made, changed, suspended and resumed by operators, each decision on record."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, eventually, new_tenant
from tests.integration.patience import HTTP_S

NOTE = {"note": "the invoice of October is unpaid"}


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def make(operator: Tenant, **wanted: Any) -> dict[str, Any]:
    answer = await operator.client.post("/v1/tenants", json={"name": f"shop {uuid4()}"} | wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def asked_by(made: dict[str, Any], api: RunningApi, path: str = "/v1/generations") -> httpx.Response:
    headers = {"Authorization": f"Bearer {made['key']['api_key']}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=HTTP_S) as client:
        return await client.get(path)


async def test_a_new_tenant_has_its_tiers_limits_and_an_admin_key(api: RunningApi, operator: Tenant) -> None:
    made = await make(operator, tier="free", in_flight=3)
    read = (await operator.client.get(f"/v1/tenants/{made['id']}")).json()

    keys = await asked_by(made, api, "/v1/keys")

    assert made["limits"] == {"requests_per_minute": 60, "in_flight": 3, "per_day": 200, "weight": 0.5}
    assert (read, read["in_flight"], read["per_day"]) == (
        {name: value for name, value in made.items() if name != "key"},
        3,
        None,
    )
    assert [key["scopes"] for key in keys.json()["items"]] == [["generate", "read", "admin"]]
    assert made["key"]["operator"] is False


async def test_a_change_names_only_what_is_different_and_null_goes_back_to_the_tier(operator: Tenant) -> None:
    made = await make(operator, tier="free", in_flight=3, per_day=5)
    path = f"/v1/tenants/{made['id']}"

    changed = (await operator.client.patch(path, json={"in_flight": None, "tier": "premium"})).json()
    await operator.client.patch(path, json={"tier": "premium"})
    entries = (await operator.client.get("/v1/audit", params={"subject": "tenant", "subject_id": made["id"]})).json()

    assert changed["limits"] == {"requests_per_minute": None, "in_flight": None, "per_day": 5, "weight": 4.0}
    assert [entry["action"] for entry in entries["items"]] == ["tenant.changed", "tenant.created"]
    assert entries["items"][0]["facts"] == {
        "before": {"in_flight": 3, "tier": "free"},
        "after": {"in_flight": None, "tier": "premium"},
    }


@pytest.mark.parametrize("wanted", [{"tier": None}, {"name": None}, {"tier": "gold"}, {"in_flight": -1}, {"id": 1}])
async def test_what_a_tenant_cannot_be_is_refused(operator: Tenant, wanted: dict[str, Any]) -> None:
    made = await make(operator)

    answer = await operator.client.patch(f"/v1/tenants/{made['id']}", json=wanted)

    assert answer.status_code == 422


async def test_a_tenants_first_key_is_not_dead_from_its_beginning(operator: Tenant) -> None:
    wanted = {"name": f"shop {uuid4()}", "key_expires_at": "2021-01-01T00:00:00Z"}
    refused = await operator.client.post("/v1/tenants", json=wanted)
    made = await operator.client.post("/v1/tenants", json={"name": wanted["name"]})

    assert (refused.status_code, refused.json()["field"], made.status_code) == (422, "expires_at", 201)


async def test_a_name_belongs_to_one_tenant(operator: Tenant) -> None:
    first, second = await make(operator), await make(operator)

    again = await operator.client.post("/v1/tenants", json={"name": first["name"]})
    renamed = await operator.client.patch(f"/v1/tenants/{second['id']}", json={"name": first["name"]})

    assert [(one.status_code, one.json()["code"]) for one in (again, renamed)] == [(409, "tenant_name_taken")] * 2


async def test_a_suspended_tenants_new_callers_are_refused_until_it_is_resumed(
    api: RunningApi, operator: Tenant
) -> None:
    made = await make(operator)
    path = f"/v1/tenants/{made['id']}"

    suspended = [(await operator.client.post(f"{path}/suspend", json=NOTE)).json() for _ in range(2)]
    refused = await asked_by(made, api)
    resumed = (await operator.client.post(f"{path}/resume", json={"note": "paid"})).json()
    accepted = await asked_by(made, api)
    entries = (await operator.client.get("/v1/audit", params={"tenant": made["id"], "subject": "tenant"})).json()

    assert suspended[0]["suspended_at"] == suspended[1]["suspended_at"] is not None
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")
    assert (resumed["suspended_at"], accepted.status_code) == (None, 200)
    assert [(entry["action"], entry["note"]) for entry in entries["items"]] == [
        ("tenant.resumed", "paid"),
        ("tenant.suspended", NOTE["note"]),
        ("tenant.created", ""),
    ]


async def test_an_operator_makes_a_key_for_a_tenant_that_lost_its_own(api: RunningApi, operator: Tenant) -> None:
    made = await make(operator)
    path = f"/v1/tenants/{made['id']}/keys"

    answer = await operator.client.post(path, json={"name": "a new one", "scopes": ["admin"]})
    listed = (await operator.client.get(path)).json()["items"]
    keys = await asked_by({"key": answer.json()}, api, "/v1/keys")

    assert (answer.status_code, answer.json()["tenant_id"], keys.status_code) == (201, made["id"], 200)
    assert [key["name"] for key in listed] == ["a new one", "first key"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PATCH", ""), ("POST", "/suspend"), ("POST", "/resume"), ("GET", "/keys"), ("POST", "/keys")],
)
async def test_a_tenant_that_does_not_exist_is_not_found(operator: Tenant, method: str, path: str) -> None:
    bodies: dict[str, Any] = {"": {}, "/suspend": NOTE, "/resume": NOTE, "/keys": {"name": "a key"}}

    body = None if method == "GET" else bodies[path]
    answer = await operator.client.request(method, f"/v1/tenants/{uuid4()}{path}", json=body)

    assert answer.status_code == 404


async def test_pages_of_tenants_lead_from_the_newest_to_the_oldest(operator: Tenant) -> None:
    made = [await make(operator) for _ in range(3)]

    first = await operator.client.get("/v1/tenants", params={"limit": 2})
    second = await operator.client.get(first.links["next"]["url"])

    ids = [tenant["id"] for page in (first, second) for tenant in page.json()["items"]]
    assert ids[:3] == [tenant["id"] for tenant in reversed(made)]


async def test_nobody_but_operators_sees_tenants(tenant: Tenant) -> None:
    answers = [await tenant.client.get("/v1/tenants"), await tenant.client.get(f"/v1/tenants/{tenant.id}")]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "not_an_operator")] * 2


async def test_a_tenant_reads_what_was_decided_about_it_but_not_who_decided_for_the_service(
    tenant: Tenant, stranger: Tenant, operator: Tenant
) -> None:
    await operator.client.patch(f"/v1/tenants/{tenant.id}", json={"per_day": 1000})
    await operator.client.patch(f"/v1/tenants/{stranger.id}", json={"per_day": 2000})

    mine = (await tenant.client.get("/v1/audit")).json()["items"]
    theirs = await tenant.client.get("/v1/audit", params={"tenant": str(stranger.id)})
    nobodys = await tenant.client.get("/v1/audit", params={"tenant": str(uuid4())})

    assert [(entry["actor"], entry["address"], entry["facts"]["after"]) for entry in mine] == [
        ("operator", None, {"per_day": 1000})
    ]
    assert theirs.status_code == nobodys.status_code == 404
    assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}


async def test_a_tenant_finds_by_a_filter_whom_it_is_shown_and_learns_of_nobody_else(
    tenant: Tenant, operator: Tenant
) -> None:
    await operator.client.patch(f"/v1/tenants/{tenant.id}", json={"per_day": 1000})
    made = (await tenant.client.post("/v1/keys", json={"name": "mine"})).json()

    async def by(actor: str) -> list[str]:
        answer = await tenant.client.get("/v1/audit", params={"actor": actor})
        assert answer.status_code == 200, answer.text
        return [entry["action"] for entry in answer.json()["items"]]

    mine, theirs = (f"key:{one.key.split('_')[1]}" for one in (tenant, operator))
    assert (await by("operator"), await by(mine)) == (["tenant.changed"], ["key.created"])
    assert [await by(actor) for actor in (theirs, "command", "service", f"key:{made['id']}")] == [[]] * 4


async def test_pages_of_the_audit_log_lead_through_all_of_what_was_asked_for(tenant: Tenant, operator: Tenant) -> None:
    for per_day in range(1, 6):
        await operator.client.patch(f"/v1/tenants/{tenant.id}", json={"per_day": per_day})
    found: list[int] = []

    path = f"/v1/audit?action=tenant.changed&tenant={tenant.id}&limit=2"
    while path:
        page = await operator.client.get(path)
        found += [entry["facts"]["after"]["per_day"] for entry in page.json()["items"]]
        path = page.links.get("next", {}).get("url", "")

    assert found == [5, 4, 3, 2, 1]


async def test_the_audit_log_can_be_read_from_a_moment_to_another(tenant: Tenant, operator: Tenant) -> None:
    for per_day in (1, 2, 3):
        await operator.client.patch(f"/v1/tenants/{tenant.id}", json={"per_day": per_day})
    times = [entry["created_at"] for entry in (await tenant.client.get("/v1/audit")).json()["items"]]

    between = {"created_after": times[1], "created_before": times[0]}
    found = (await tenant.client.get("/v1/audit", params=between)).json()["items"]

    assert [entry["facts"]["after"] for entry in found] == [{"per_day": 2}]


async def test_a_tenants_tier_is_its_share_of_the_work(
    tenant: Tenant, operator: Tenant, engine: WorkflowEnvironment
) -> None:
    await operator.client.patch(f"/v1/tenants/{tenant.id}", json={"tier": "premium"})
    accepted = await tenant.accept(AVATAR)
    handle = engine.client.get_workflow_handle(f"generation/{accepted['id']}")

    async def priority() -> Any:
        try:
            described = await handle.describe()
        except RPCError:  # not started yet
            return None
        return described.raw_description.workflow_execution_info.priority

    given = await eventually(priority)
    assert (given.fairness_key, given.fairness_weight) == (str(tenant.id), 4.0)
