"""Alerts of budgets over HTTP: listed, delivered, and among the figures."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, eventually, new_tenant
from tests.integration.api.test_api_budgets import admin_of, price, set_budget


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator
        await api.ask("update budget set removed_at = now() where removed_at is null")


async def alerts(who: Tenant, budget: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = await who.client.get(f"/v1/budgets/{budget['id']}/alerts", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def figures(who: Tenant, name: str) -> dict[str, float]:
    """The samples of a gauge, by their labels."""
    lines = (await who.client.get("/metrics")).text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(f"{name}{{"))
    return {labels: float(value) for labels, _, value in found}


async def test_the_alerts_of_a_budget_are_listed_and_handed_to_the_webhooks(tenant: Tenant, stranger: Tenant) -> None:
    admin, other = await admin_of(tenant), await admin_of(stranger)
    budget = await set_budget(admin, limit_usd=str(await price(admin) / Decimal("0.9")), hard=False)
    assert await alerts(admin, budget) == []
    await admin.accept(AVATAR)

    async def told() -> bool:
        return all(alert["told_at"] for alert in await alerts(admin, budget))

    assert await eventually(told)
    assert [alert["percent"] for alert in await alerts(admin, budget)] == [80, 50]
    answer = await admin.client.get(f"/v1/budgets/{budget['id']}/alerts", params={"limit": 1})
    rest = await admin.client.get(answer.headers["Link"].partition(">")[0].removeprefix("<"))
    assert [alert["percent"] for alert in rest.json()["items"]] == [50]
    refused = await other.client.get(f"/v1/budgets/{budget['id']}/alerts")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


async def test_a_delivery_of_an_alert_is_shown_without_a_generation(tenant: Tenant) -> None:
    admin = await admin_of(tenant)
    await tenant.api.ask(
        "insert into webhook_endpoint (id, tenant_id, url, description, events, secret_version, created_at)"
        " values (gen_random_uuid(), :id, 'https://x.example/', '', '{budget.alert}', 1, now())",
        id=tenant.id,
    )
    await set_budget(admin, limit_usd=str(await price(admin)), hard=False)
    await admin.accept(AVATAR)
    endpoint = (await admin.client.get("/v1/webhook-endpoints")).json()["items"][0]

    async def listed() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await admin.client.get(endpoint["links"]["deliveries"])).json()["items"]
        return items if len(items) == 3 else []

    for delivery in await eventually(listed):
        assert (delivery["event_type"], delivery["generation_id"]) == ("budget.alert", None)
        assert delivery["links"]["generation"] is None
        assert delivery["alert_id"] is not None
        read = (await admin.client.get(delivery["links"]["self"])).json()
        assert read["alert_id"] == delivery["alert_id"]


async def test_budgets_of_the_service_and_of_providers_are_among_the_figures_and_others_are_counted(
    operator: Tenant, tenant: Tenant
) -> None:
    admin = await admin_of(tenant)
    most = await price(admin)
    system = await set_budget(operator, of="system", limit_usd="100000", hard=False)
    provider = await set_budget(operator, of="provider", owner="replicate", limit_usd="0", hard=False, period="month")
    before = await figures(operator, "diorama_budgets_reached")
    mine = await set_budget(admin, limit_usd=str(most / Decimal("0.6")), hard=False)
    await admin.accept(AVATAR)

    used = await figures(operator, "diorama_budget_used_ratio")
    after = await figures(operator, "diorama_budgets_reached")

    by_budget = {labels.partition('budget="')[2][:36]: share for labels, share in used.items()}
    assert 0 < by_budget[system["id"]] < 1
    assert by_budget[provider["id"]] == 1.0
    assert mine["id"] not in by_budget
    half = 'diorama_budgets_reached{of="tenant",percent="50"}'
    assert after[half] - before[half] == 1
