"""Webhook endpoints over HTTP: made, changed, rotated, deleted; deliveries listed, read, replayed."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.pictures import Closing
from contracts.statuses import DeliveryState
from contracts.webhook_secrets import OVERLAP
from db import lives
from db.columns import now
from db.webhook_models import Delivery
from storage.memory import MemoryStorage
from tests.integration.api.running_api import (
    AVATAR,
    RunningApi,
    Tenant,
    eventually,
    new_tenant,
    running_api,
    settings_for,
)

ENDPOINTS = "/v1/webhook-endpoints"
HOOK = {"url": "https://8.8.8.8/hooks", "description": "production"}


async def an_endpoint(tenant: Tenant, **body: object) -> dict[str, str]:
    answer = await tenant.client.post(ENDPOINTS, json=HOOK | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def a_delivery(tenant: Tenant) -> str:
    """The id of a delivery that was made by the end of a generation."""
    accepted = await tenant.accept(AVATAR)
    async with tenant.api.database.transaction() as session:
        await lives.close(session, Closing(generation_id=UUID(accepted["id"]), outcome="canceled"))
    (row,) = await tenant.api.ask("select id from delivery where generation_id = :id", id=accepted["id"])
    return str(row.id)


async def failed(tenant: Tenant, delivery_id: str) -> None:
    """As the worker leaves a delivery behind that nobody took."""
    async with tenant.api.database.transaction() as session:
        row = await session.get_one(Delivery, UUID(delivery_id))
        row.state, row.attempts, row.last_status, row.last_error = DeliveryState.failed, 10, 500, "refused"
        row.ended_at = row.dispatched_at = now()
        session.add(row)


async def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(tenant: Tenant) -> None:
    answer = await tenant.client.post(ENDPOINTS, json=HOOK | {"events": ["generation.succeeded"]})

    made = answer.json()
    shown = (await tenant.client.get(answer.headers["location"])).json()
    assert answer.status_code == 201
    assert made["secret"].startswith("whsec_")
    assert (made["enabled"], made["secret_version"], made["events"]) == (True, 1, ["generation.succeeded"])
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await tenant.client.get(ENDPOINTS)).json() == {"items": [shown]}


async def test_the_same_idempotency_key_makes_one_endpoint_and_another_body_is_refused(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "first-hook"}
    first, again = [(await tenant.client.post(ENDPOINTS, json=HOOK, headers=headers)).json() for _ in range(2)]
    other = await tenant.client.post(ENDPOINTS, json=HOOK | {"description": "other"}, headers=headers)

    assert (first["id"], first["secret"]) == (again["id"], again["secret"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len((await tenant.client.get(ENDPOINTS)).json()["items"]) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://169.254.169.254/latest",
        "https://8.8.8.8:8443/", "https://user:pw@8.8.8.8/", "https://0x7f.1/", "https://2130706433/",
    ],
)  # fmt: skip
async def test_a_url_that_leads_to_a_private_place_is_refused_when_it_is_given(tenant: Tenant, url: str) -> None:
    endpoint = await an_endpoint(tenant)

    made = await tenant.client.post(ENDPOINTS, json={"url": url})
    changed = await tenant.client.patch(f"{ENDPOINTS}/{endpoint['id']}", json={"url": url})

    assert (made.status_code, made.json()["code"]) == (422, "url_forbidden")
    assert (changed.status_code, changed.json()["code"]) == (422, "url_forbidden")


async def test_the_operator_can_trust_a_private_place(api_database_url: str) -> None:
    settings = settings_for(api_database_url, "127.0.0.1:9", webhook_hosts="127.0.0.1:8099")
    async with running_api(settings, MemoryStorage()) as trusting, new_tenant(trusting) as tenant:
        trusted = await tenant.client.post(ENDPOINTS, json={"url": "http://127.0.0.1:8099/hook"})
        other = await tenant.client.post(ENDPOINTS, json={"url": "http://127.0.0.1:8098/hook"})

    assert (trusted.status_code, other.status_code) == (201, 422)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": "nonsense"}, {"url": "https://" + "x" * 2000}, {"url": "https://8.8.8.8/\u0000"}, {"url": 5},
        {**HOOK, "events": ["generation.exploded"]}, {**HOOK, "events": "generation.failed"},
        {**HOOK, "description": "a\nb"}, {**HOOK, "description": "x" * 201}, {**HOOK, "secret": "whsec_mine"},
    ],
)  # fmt: skip
async def test_an_endpoint_of_no_form_is_refused(tenant: Tenant, body: dict[str, object]) -> None:
    answer = await tenant.client.post(ENDPOINTS, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await tenant.client.get(ENDPOINTS)).json() == {"items": []}


async def test_budgets_alerts_are_told_to_those_who_decide_about_money(tenant: Tenant) -> None:
    usual = (await tenant.client.post("/v1/keys", json={"name": "the web shop"})).json()["api_key"]
    as_usual = {"Authorization": f"Bearer {usual}"}
    alerts = {"events": ["generation.failed", "budget.alert"]}
    of_generations = await an_endpoint(tenant)

    made = [await tenant.client.post(ENDPOINTS, json=HOOK | more, headers=as_usual) for more in (alerts, {})]
    path = f"{ENDPOINTS}/{of_generations['id']}"
    widened = await tenant.client.patch(path, json=alerts, headers=as_usual)
    by_admin = await tenant.client.patch(path, json=alerts)
    led_away = await tenant.client.patch(path, json={"url": "https://8.8.4.4/"}, headers=as_usual)
    turned = await tenant.client.post(f"{path}/rotate-secret", json={"replaces_version": 1}, headers=as_usual)
    deleted = await tenant.client.delete(path, headers=as_usual)

    refused = [made[0], widened, led_away, turned, deleted]
    assert made[1].status_code == 201
    assert [(one.status_code, one.json()["scope"]) for one in refused] == [(403, "admin")] * len(refused)
    assert by_admin.json()["events"] == sorted(alerts["events"])


async def test_there_are_at_most_ten_endpoints_and_deleted_ones_make_room(tenant: Tenant) -> None:
    made = [await an_endpoint(tenant) for _ in range(10)]
    eleventh = await tenant.client.post(ENDPOINTS, json=HOOK)
    gone = await tenant.client.delete(f"{ENDPOINTS}/{made[0]['id']}")
    after = await tenant.client.post(ENDPOINTS, json=HOOK)

    assert (eleventh.status_code, eleventh.json()["code"], eleventh.json()["most"]) == (
        409,
        "too_many_webhook_endpoints",
        10,
    )
    assert (gone.status_code, after.status_code) == (204, 201)
    assert (await tenant.client.get(f"{ENDPOINTS}/{made[0]['id']}")).status_code == 404


async def test_an_endpoint_is_changed_disabled_and_enabled(tenant: Tenant) -> None:
    path = f"{ENDPOINTS}/{(await an_endpoint(tenant))['id']}"

    changed = (
        await tenant.client.patch(path, json={"url": "https://1.1.1.1/", "events": ["generation.failed"]})
    ).json()
    disabled = (await tenant.client.patch(path, json={"enabled": False})).json()
    enabled = (await tenant.client.patch(path, json={"enabled": True})).json()

    assert (changed["url"], changed["events"], changed["description"]) == (
        "https://1.1.1.1/",
        ["generation.failed"],
        "production",
    )
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "by_tenant")
    assert (enabled["enabled"], enabled["disabled_at"], enabled["disabled_reason"]) == (True, None, None)


async def test_a_secret_is_replaced_once_however_often_the_request_is_repeated(tenant: Tenant) -> None:
    endpoint = await an_endpoint(tenant)
    path = f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"

    first, again = [(await tenant.client.post(path, json={"replaces_version": 1})).json() for _ in range(2)]

    assert first["secret"] == again["secret"] != endpoint["secret"]
    assert first["secret_version"] == again["secret_version"] == 2
    assert first["previous_secret_until"] is not None


async def test_a_secret_is_not_shown_again_later_and_a_version_of_the_past_is_not_replaced(tenant: Tenant) -> None:
    endpoint = await an_endpoint(tenant)
    path = f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"
    await tenant.client.post(path, json={"replaces_version": 1})
    earlier = now() + OVERLAP - timedelta(hours=1)
    await tenant.api.ask(
        "update webhook_endpoint set previous_secret_until = :until where id = :id", id=endpoint["id"], until=earlier
    )

    late = await tenant.client.post(path, json={"replaces_version": 1})

    assert (late.status_code, late.json()["code"], late.json()["secret_version"]) == (409, "webhook_secret_changed", 2)


async def test_deliveries_are_listed_by_pages_newest_first(tenant: Tenant) -> None:
    endpoint = await an_endpoint(tenant)
    made = [await a_delivery(tenant) for _ in range(3)]
    path = f"{ENDPOINTS}/{endpoint['id']}/deliveries"

    first = await tenant.client.get(f"{path}?limit=2")
    rest = await tenant.client.get(first.links["next"]["url"])
    failures = await tenant.client.get(f"{path}?state=failed")

    assert [one["id"] for one in first.json()["items"]] == [made[2], made[1]]
    assert [one["id"] for one in rest.json()["items"]] == [made[0]]
    assert rest.json()["next_cursor"] is None
    assert failures.json()["items"] == []
    assert first.json()["items"][0]["event_type"] == "generation.canceled"


async def test_a_delivery_is_started_at_the_engine_and_marked(tenant: Tenant, engine: WorkflowEnvironment) -> None:
    await an_endpoint(tenant)
    delivery_id = await a_delivery(tenant)
    marked = "select 1 from delivery where id = :id and dispatched_at is not null"

    assert await eventually(lambda: tenant.api.ask(marked, id=delivery_id))
    described = await engine.client.get_workflow_handle(f"delivery/{delivery_id}").describe()
    assert described.workflow_type == "diorama.DeliverWebhook"


async def test_what_was_made_while_the_engine_was_away_is_started_by_another_api(
    api_database_url: str, api: RunningApi
) -> None:
    async with (
        running_api(settings_for(api_database_url, "127.0.0.1:9"), MemoryStorage()) as lonely,
        new_tenant(lonely) as tenant,
    ):
        await an_endpoint(tenant)
        delivery_id = await a_delivery(tenant)
    marked = "select 1 from delivery where id = :id and dispatched_at is not null"

    assert await eventually(lambda: api.ask(marked, id=delivery_id))


async def test_a_failed_delivery_is_replayed_by_a_run_of_its_own_and_replaying_twice_is_harmless(
    tenant: Tenant, engine: WorkflowEnvironment
) -> None:
    await an_endpoint(tenant)
    delivery_id = await a_delivery(tenant)
    await failed(tenant, delivery_id)

    answers = [await tenant.client.post(f"/v1/webhook-deliveries/{delivery_id}/replay") for _ in range(2)]

    read = (await tenant.client.get(f"/v1/webhook-deliveries/{delivery_id}")).json()
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json()["run"] for answer in answers] == [2, 2]
    assert (read["state"], read["run"], read["attempts"], read["tried"]) == ("pending", 2, 10, [])
    marked = "select 1 from delivery where id = :id and dispatched_at is not null"
    assert await eventually(lambda: tenant.api.ask(marked, id=delivery_id))
    described = await engine.client.get_workflow_handle(f"delivery/{delivery_id}/2").describe()
    assert described.workflow_type == "diorama.DeliverWebhook"


async def test_nothing_is_replayed_to_an_endpoint_that_is_disabled_or_deleted(tenant: Tenant) -> None:
    endpoint = await an_endpoint(tenant)
    delivery_id = await a_delivery(tenant)
    await failed(tenant, delivery_id)
    path = f"{ENDPOINTS}/{endpoint['id']}"

    await tenant.client.patch(path, json={"enabled": False})
    disabled = await tenant.client.post(f"/v1/webhook-deliveries/{delivery_id}/replay")
    await tenant.client.delete(path)
    deleted = await tenant.client.post(f"/v1/webhook-deliveries/{delivery_id}/replay")

    assert (disabled.status_code, disabled.json()["code"]) == (409, "webhook_endpoint_disabled")
    assert deleted.status_code == 404
    assert (await tenant.client.get(f"/v1/webhook-deliveries/{delivery_id}")).json()["state"] == "failed"


@pytest.fixture
async def anothers(tenant: Tenant) -> tuple[str, str]:
    """An endpoint and a delivery that belong to `tenant`."""
    endpoint = await an_endpoint(tenant)
    return endpoint["id"], await a_delivery(tenant)


async def test_tenants_see_and_change_nothing_of_each_other(stranger: Tenant, anothers: tuple[str, str]) -> None:
    endpoint_id, delivery_id = anothers
    path = f"{ENDPOINTS}/{endpoint_id}"

    answers = [
        await stranger.client.get(path),
        await stranger.client.patch(path, json={"enabled": False}),
        await stranger.client.post(f"{path}/rotate-secret", json={"replaces_version": 1}),
        await stranger.client.delete(path),
        await stranger.client.get(f"{path}/deliveries"),
        await stranger.client.get(f"/v1/webhook-deliveries/{delivery_id}"),
        await stranger.client.post(f"/v1/webhook-deliveries/{delivery_id}/replay"),
        await stranger.client.get(f"{ENDPOINTS}/{uuid4()}"),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
    assert (await stranger.client.get(ENDPOINTS)).json() == {"items": []}
