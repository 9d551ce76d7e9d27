"""Webhook endpoints and deliveries as clients see them, and what clients may say about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from api.links import DeliveryLinks, WebhookEndpointLinks
from contracts.frozen import Frozen
from contracts.statuses import DeliveryState
from contracts.webhooks import DeliveryTrouble, DisabledReason, WebhookEvent
from db.webhook_models import Delivery, DeliveryAttempt, WebhookEndpoint


def _sorted_once(events: tuple[WebhookEvent, ...]) -> tuple[WebhookEvent, ...]:
    return tuple(sorted(set(events)))


Url = Annotated[
    str,
    # Visible ASCII: what goes into a request line as it is, and what a database takes.
    StringConstraints(pattern=r"^https?://[\x21-\x7e]+$", max_length=2000),
    Field(examples=["https://example.com/hooks/diorama"]),
]
Description = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
Events = Annotated[
    tuple[WebhookEvent, ...],
    Field(
        max_length=20,
        description="Empty: all of generations. `budget.alert` has to be named, by a key with the scope `admin`.",
        examples=[["generation.succeeded", "generation.failed"]],
    ),
    AfterValidator(_sorted_once),
]


class NewWebhookEndpoint(Frozen):
    """Where to send events: an https URL on a public host, port 443."""

    url: Url
    description: Description = ""
    events: Events = ()


class WebhookEndpointChange(Frozen):
    """What is to be different; what is left out stays."""

    url: Url | None = None
    description: Description | None = None
    events: Events | None = None
    enabled: bool | None = Field(default=None, description="false: send nothing there until it is true again.")


class SecretRotation(Frozen):
    """Which secret is replaced: so that a repeated request replaces it only once."""

    replaces_version: int = Field(ge=1, le=2**31 - 2, description="The `secret_version` that the endpoint has now.")


class WebhookEndpointAnswer(Frozen):
    """A webhook endpoint; its secret is shown when it is made and when it is rotated."""

    id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    secret_version: int
    previous_secret_until: datetime | None = Field(
        description="Until then messages are also signed with the secret before."
    )
    created_at: datetime
    links: WebhookEndpointLinks

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """An endpoint's row as an answer."""
        return cls.model_validate(_endpoint_fields(row))


class WebhookEndpointWithSecret(WebhookEndpointAnswer):
    """A webhook endpoint with its newest secret. Keep it: it is not shown again."""

    secret: str = Field(examples=["whsec_..."])

    @classmethod
    def with_secret(cls, row: WebhookEndpoint, secret: str) -> Self:
        """An endpoint's row as an answer, with its secret."""
        return cls.model_validate(_endpoint_fields(row) | {"secret": secret})


class WebhookEndpointList(Frozen):
    """All endpoints, oldest first; there are at most ten."""

    items: tuple[WebhookEndpointAnswer, ...]


class DeliveryAnswer(Frozen):
    """One event on its way to one endpoint. `webhook-id` is its id."""

    id: UUID
    endpoint_id: UUID
    generation_id: UUID | None = Field(description="Null for what is of no generation: a budget's alert.")
    event_seq: int | None
    alert_id: UUID | None = Field(description="The budget's alert that it tells of.")
    event_type: str
    state: DeliveryState
    run: int = Field(description="1, and one more for each replay.")
    attempts: int
    last_status: int | None = Field(description="The HTTP status of the last answer.")
    last_error: DeliveryTrouble | None
    next_attempt_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    links: DeliveryLinks

    @classmethod
    def of(cls, row: Delivery) -> Self:
        """A delivery's row as an answer."""
        return cls.model_validate(_delivery_fields(row))


class AttemptAnswer(Frozen):
    """One POST: `status` is what was answered, `error` why it did not count, `took_ms` milliseconds."""

    number: int
    status: int | None
    error: DeliveryTrouble | None
    took_ms: int
    attempted_at: datetime


class DeliveryWithAttempts(DeliveryAnswer):
    """A delivery, and what was tried, in order."""

    tried: tuple[AttemptAnswer, ...]

    @classmethod
    def with_attempts(cls, row: Delivery, attempts: Sequence[DeliveryAttempt]) -> Self:
        """A delivery's rows as an answer."""
        tried = [attempt.model_dump(exclude={"delivery_id"}) for attempt in attempts]
        return cls.model_validate(_delivery_fields(row) | {"tried": tried})


class DeliveryPage(Frozen):
    """Deliveries, newest first; `next_cursor` leads to older ones."""

    items: tuple[DeliveryAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


def _endpoint_fields(row: WebhookEndpoint) -> dict[str, object]:
    kept = row.model_dump(exclude={"tenant_id", "deleted_at"})
    return kept | {"enabled": row.disabled_at is None, "links": WebhookEndpointLinks.of(row.id)}


def _delivery_fields(row: Delivery) -> dict[str, object]:
    kept = row.model_dump(exclude={"tenant_id", "dispatched_at"})
    return kept | {"links": DeliveryLinks.of(row.id, row.endpoint_id, row.generation_id)}
