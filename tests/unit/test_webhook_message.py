"""Webhooks as receivers see them: verified by the library that receivers use."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from activities.webhook_message import WebhookMessage, signed_message
from contracts.budgets import BudgetOf, Period
from contracts.webhook_secrets import OVERLAP, WebhookSecrets
from db.delivering import AlertedBudget, Parcel
from db.models import Event
from db.money_models import Budget, BudgetAlert
from db.webhook_models import Delivery, WebhookEndpoint

SECRETS = WebhookSecrets("a secret of the service")
ENDPOINT = UUID(int=7)


def parcel(kind: str = "generation.succeeded", **data: object) -> Parcel:
    tenant_id, generation_id = uuid4(), uuid4()
    endpoint = WebhookEndpoint(id=ENDPOINT, tenant_id=tenant_id, url="https://hooks.example/")
    delivery = Delivery(
        tenant_id=tenant_id, endpoint_id=ENDPOINT, generation_id=generation_id, event_seq=5, event_type=kind
    )
    return Parcel(delivery, endpoint, Event(generation_id=generation_id, seq=5, type=kind, data=data))


def headers(message: WebhookMessage) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in message.headers}


def sent(given: Parcel, version: int, previous_until: datetime | None, *, at: datetime) -> WebhookMessage:
    return signed_message(given, SECRETS.valid_at(at, ENDPOINT, version, previous_until), at)


def test_a_receiver_verifies_a_message_with_the_secret_it_was_shown() -> None:
    given = parcel(cost_usd="0.04")
    message = sent(given, 1, None, at=datetime.now(UTC))

    content = Webhook(SECRETS.secret(ENDPOINT, 1)).verify(message.body, headers(message))

    assert isinstance(given.event, Event)
    assert content["type"] == "generation.succeeded"
    assert content["timestamp"] == given.event.created_at.isoformat()
    assert content["data"] == {
        "cost_usd": "0.04",
        "generation_id": str(given.event.generation_id),
        "status": "succeeded",
        "links": {
            "self": f"/v1/generations/{given.event.generation_id}",
            "events": f"/v1/generations/{given.event.generation_id}/events",
        },
    }
    assert headers(message)["webhook-id"] == str(given.delivery.id)


def test_the_clock_of_another_zone_signs_the_same_moment() -> None:
    elsewhere = datetime.now(timezone(timedelta(hours=-9)))
    message = sent(parcel(), 1, None, at=elsewhere)

    Webhook(SECRETS.secret(ENDPOINT, 1)).verify(message.body, headers(message))


@pytest.mark.parametrize("version", [1, 2])
def test_in_the_day_after_a_rotation_both_secrets_verify(version: int) -> None:
    moment = datetime.now(UTC)
    message = sent(parcel(), 2, moment + OVERLAP, at=moment)

    assert len(headers(message)["webhook-signature"].split(" ")) == 2
    Webhook(SECRETS.secret(ENDPOINT, version)).verify(message.body, headers(message))


def test_a_day_after_a_rotation_the_replaced_secret_verifies_nothing() -> None:
    moment = datetime.now(UTC)
    message = sent(parcel(), 2, moment, at=moment)

    Webhook(SECRETS.secret(ENDPOINT, 2)).verify(message.body, headers(message))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS.secret(ENDPOINT, 1)).verify(message.body, headers(message))


def test_a_changed_body_does_not_verify() -> None:
    message = sent(parcel(), 1, None, at=datetime.now(UTC))

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS.secret(ENDPOINT, 1)).verify(message.body + b" ", headers(message))


def test_a_later_attempt_has_the_same_id_and_body_and_another_time() -> None:
    given, moment = parcel(), datetime.now(UTC)
    first, later = (sent(given, 1, None, at=moment + timedelta(seconds=s)) for s in (0, 5))

    assert first.body == later.body
    assert headers(first)["webhook-id"] == headers(later)["webhook-id"]
    assert headers(first)["webhook-timestamp"] != headers(later)["webhook-timestamp"]


def test_a_reopened_generation_is_told_as_queued_again() -> None:
    message = sent(parcel("generation.reopened", run=2), 1, None, at=datetime.now(UTC))

    assert json.loads(message.body)["data"]["status"] == "queued"


def test_an_alert_tells_whose_budget_it_is_how_much_of_it_is_used_and_when_it_is_whole_again() -> None:
    budget = Budget(
        id=UUID(int=3), of=BudgetOf.key, owner="4f1d0c2b9a7e", period=Period.month, limit_usd=Decimal("20.00")
    )
    alert = BudgetAlert(budget_id=budget.id, begins_on=date(2026, 12, 1), percent=80, used_usd=Decimal("16.2"))
    endpoint = WebhookEndpoint(id=ENDPOINT, tenant_id=uuid4(), url="https://hooks.example/")
    delivery = Delivery(tenant_id=uuid4(), endpoint_id=ENDPOINT, alert_id=alert.id, event_type="budget.alert")
    message = sent(Parcel(delivery, endpoint, AlertedBudget(alert, budget)), 1, None, at=datetime.now(UTC))

    content = Webhook(SECRETS.secret(ENDPOINT, 1)).verify(message.body, headers(message))

    assert (content["type"], content["timestamp"]) == ("budget.alert", alert.created_at.isoformat())
    assert content["data"] == {
        "budget_id": str(budget.id),
        "of": "key",
        "owner": "4f1d0c2b9a7e",
        "period": "month",
        "hard": True,
        "percent": 80,
        "used_usd": "16.2",
        "limit_usd": "20.00",
        "begins_on": "2026-12-01",
        "resets_at": "2027-01-01T00:00:00+00:00",
        "links": {"budgets": "/v1/budgets", "alerts": f"/v1/budgets/{budget.id}/alerts"},
    }


def test_endpoints_and_versions_and_services_have_secrets_of_their_own() -> None:
    made = {
        WebhookSecrets(service).secret(endpoint, version)
        for service in ("a secret of the service", "another secret")
        for endpoint in (UUID(int=7), UUID(int=8))
        for version in (1, 2)
    }

    assert len(made) == 8
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in made)
