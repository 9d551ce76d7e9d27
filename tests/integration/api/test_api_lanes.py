"""What operators may do about providers and models, and who is no operator."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from db.standing_models import ProviderEvent
from tests.integration.api.deciding import ENTRY, EVENTS, LANES, MODEL, NOTE, an_operator, decide, get
from tests.integration.api.running_api import RunningApi, Tenant


@pytest.fixture(autouse=True)
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with an_operator(api) as operator:
        yield operator


async def test_a_paused_provider_is_seen_at_once_and_so_is_why_its_models_cannot_be_bought(
    tenant: Tenant, operator: Tenant
) -> None:
    answer = await decide(operator, "replicate/pause", NOTE)
    provider, model = await get(tenant, "/v1/providers/replicate"), await get(tenant, MODEL)

    assert (answer.status_code, answer.json()["mode"], answer.json()["model"]) == (200, "paused", "")
    assert answer.json()["changed_by"] == operator.key.split("_")[1]
    assert provider["health"]["mode"] == "paused"
    assert (model["available"], model["health"]["mode"]) == (False, "active")
    assert model["unavailable_because"] == "The provider is paused by an operator."


@pytest.mark.parametrize(("action", "mode"), [("pause", "paused"), ("drain", "draining"), ("resume", "active")])
async def test_a_model_whose_id_has_a_slash_is_switched_by_itself(
    tenant: Tenant, operator: Tenant, action: str, mode: str
) -> None:
    answer = await decide(operator, f"replicate/{ENTRY.model}/{action}", NOTE)
    model, provider = await get(tenant, MODEL), await get(tenant, "/v1/providers/replicate")

    assert (answer.status_code, answer.json()["model"], answer.json()["mode"]) == (200, ENTRY.model, mode)
    assert (model["health"]["mode"], provider["health"]["mode"]) == (mode, "active")


async def test_a_limit_is_set_shown_and_taken_back(tenant: Tenant, operator: Tenant) -> None:
    set_, path = await decide(operator, "replicate/limit", NOTE | {"creates_per_minute": 30}), "/v1/providers/replicate"
    limited = (await get(tenant, path))["limit"]
    unset = await decide(operator, "replicate/limit", NOTE | {"creates_per_minute": None})

    assert (set_.json()["creates_per_minute"], unset.json()["creates_per_minute"]) == (30, None)
    assert limited == {"creates_per_minute": 30, "set_by_operator": True}
    assert (await get(tenant, path))["limit"] == {"creates_per_minute": 600, "set_by_operator": False}


async def test_a_model_has_a_limit_of_its_own_only_when_an_operator_says_so(tenant: Tenant, operator: Tenant) -> None:
    before = (await get(tenant, MODEL))["limit"]
    await decide(operator, f"replicate/{ENTRY.model}/limit", NOTE | {"creates_per_minute": 2})

    assert before == {"creates_per_minute": None, "set_by_operator": False}
    assert (await get(tenant, MODEL))["limit"] == {"creates_per_minute": 2, "set_by_operator": True}


async def test_a_decision_is_in_the_audit_log_and_among_the_events_once(operator: Tenant) -> None:
    for _ in range(2):
        await decide(operator, f"replicate/{ENTRY.model}/drain", NOTE)
    actions = (await get(operator, "/v1/operations/actions"))["items"]
    mine = [action for action in actions if action["key_id"] == operator.key.split("_")[1]]
    events = (await get(operator, f"{EVENTS}?provider=replicate&limit=1"))["items"]
    lanes = (await get(operator, LANES))["items"]

    assert [(action["action"], action["note"]) for action in mine] == [("lane.draining", NOTE["note"])]
    assert [(event["type"], event["model"]) for event in events] == [("lane.draining", ENTRY.model)]
    assert [(lane["model"], lane["mode"], lane["note"]) for lane in lanes] == [(ENTRY.model, "draining", NOTE["note"])]


async def test_events_are_listed_page_by_page_newest_first(api: RunningApi, operator: Tenant) -> None:
    name = f"test-{uuid4().hex[:8]}"
    async with api.database.transaction() as session:
        session.add_all(
            ProviderEvent(provider=name, type="breaker.opened", data={"number": number}) for number in range(5)
        )
    numbers, path = [], f"{EVENTS}?provider={name}&limit=2"
    while path:
        answer = await operator.client.get(path)
        numbers += [item["data"]["number"] for item in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""

    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.parametrize("path", ["nobody/pause", "replicate/no-such-model/pause", "replicate/no/such/limit"])
async def test_a_lane_that_the_catalog_does_not_have_is_not_found_and_not_written(
    api: RunningApi, operator: Tenant, path: str
) -> None:
    body = NOTE | ({"creates_per_minute": 5} if path.endswith("limit") else {})
    answer = await decide(operator, path, body)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert list(await api.ask("select * from lane")) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("replicate/pause", {}),
        ("replicate/pause", {"note": " "}),
        ("replicate/pause", NOTE | {"until": "tomorrow"}),
        ("replicate/stop", NOTE),
        ("replicate/limit", NOTE),
        ("replicate/limit", NOTE | {"creates_per_minute": 0}),
        ("replicate/limit", NOTE | {"creates_per_minute": "many"}),
        ("replicate/limit", NOTE | {"creates_per_minute": 10**9}),
    ],
)
async def test_a_decision_is_told_in_the_right_words(operator: Tenant, path: str, body: dict[str, Any]) -> None:
    answer = await decide(operator, path, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_tenant_sees_how_providers_stand_and_decides_nothing(tenant: Tenant, operator: Tenant) -> None:
    await decide(operator, "replicate/pause", NOTE)
    refused = [
        await decide(tenant, "replicate/resume", NOTE),
        await decide(tenant, f"replicate/{ENTRY.model}/pause", NOTE),
        await decide(tenant, "replicate/limit", NOTE | {"creates_per_minute": 1}),
        await decide(tenant, f"replicate/{ENTRY.model}/limit", NOTE | {"creates_per_minute": 1}),
        await tenant.client.get(LANES),
        await tenant.client.get(EVENTS),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "not_an_operator")}
    assert (await get(tenant, "/v1/providers/replicate"))["health"]["mode"] == "paused"


async def test_the_note_of_an_operator_is_not_told_to_tenants(tenant: Tenant, operator: Tenant) -> None:
    await decide(operator, "replicate/pause", {"note": "our account is being sold"})
    text = str(await get(tenant, "/v1/providers")) + str(await get(tenant, "/v1/models"))

    assert "being sold" not in text
