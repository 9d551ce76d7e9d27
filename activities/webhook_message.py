"""What a webhook says, and how it is signed: Standard Webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from contracts.statuses import Status
from contracts.webhooks import WebhookEvent
from db.delivering import AlertedBudget, Parcel
from db.events import REOPENED
from db.models import Event
from db.refusals import end_of

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """The bytes to send, and the headers that prove where they come from."""

    headers: tuple[Header, ...]
    body: bytes


def signed_message(parcel: Parcel, secrets: Sequence[str], moment: datetime) -> WebhookMessage:
    """The message of this moment: its id and its body are the same at every attempt, its time and signatures are not."""
    message_id = str(parcel.delivery.id)
    body = json.dumps(_content(parcel.event), separators=(",", ":"))
    # In UTC and with its zone: the library takes any clock for UTC.
    moment = moment.astimezone(UTC)
    signatures = " ".join(Webhook(secret).sign(message_id, moment, body) for secret in secrets)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signatures,
    }
    return WebhookMessage(tuple((name.encode(), value.encode()) for name, value in headers.items()), body.encode())


def _content(event: Event | AlertedBudget) -> dict[str, Any]:
    return _of_budget(event) if isinstance(event, AlertedBudget) else _of_generation(event)


def _of_budget(event: AlertedBudget) -> dict[str, Any]:
    alert, budget = event.alert, event.budget
    path = f"/v1/budgets/{budget.id}"
    about = {
        "budget_id": str(budget.id),
        "of": budget.of.value,
        "owner": budget.owner,
        "period": budget.period.value,
        "hard": budget.hard,
        "percent": alert.percent,
        "used_usd": str(alert.used_usd),
        "limit_usd": str(budget.limit_usd),
        "begins_on": alert.begins_on.isoformat(),
        "resets_at": end_of(budget.period, alert.begins_on).isoformat(),
        "links": {"budgets": "/v1/budgets", "alerts": f"{path}/alerts"},
    }
    return {"type": WebhookEvent.budget_alert.value, "timestamp": alert.created_at.isoformat(), "data": about}


def _of_generation(event: Event) -> dict[str, Any]:
    path = f"/v1/generations/{event.generation_id}"
    status = Status.queued if event.type == REOPENED else Status(event.type.removeprefix("generation."))
    about = {
        "generation_id": str(event.generation_id),
        "status": status.value,
        "links": {"self": path, "events": f"{path}/events"},
    }
    # The event's data hold references, amounts and codes; what was asked for, and its prompts, are not in any event.
    return {"type": event.type, "timestamp": event.created_at.isoformat(), "data": {**event.data, **about}}
