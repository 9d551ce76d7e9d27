"""What a webhook says, and how it is signed: Standard Webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from contracts.statuses import Status
from db.delivering import Parcel
from db.events import REOPENED
from db.models import Event

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


def _content(event: Event) -> dict[str, Any]:
    path = f"/v1/generations/{event.generation_id}"
    status = Status.queued if event.type == REOPENED else Status(event.type.removeprefix("generation."))
    about = {
        "generation_id": str(event.generation_id),
        "status": status.value,
        "links": {"self": path, "events": f"{path}/events"},
    }
    # The event's data hold references, amounts and codes; what was asked for, and its prompts, are not in any event.
    return {"type": event.type, "timestamp": event.created_at.isoformat(), "data": {**event.data, **about}}
