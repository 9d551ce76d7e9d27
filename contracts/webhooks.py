"""Outgoing webhooks: which events are told, and what workflow and activity say to each other about a delivery."""

from enum import StrEnum
from uuid import UUID

from contracts.frozen import Frozen
from contracts.statuses import DeliveryState

# Per tenant: each event is a row, and a workflow, for each endpoint that wants it.
MOST_ENDPOINTS = 10


class WebhookEvent(StrEnum):
    """The events that endpoints are told of."""

    succeeded = "generation.succeeded"
    failed = "generation.failed"
    canceled = "generation.canceled"
    needs_review = "generation.needs_review"
    reopened = "generation.reopened"
    budget_alert = "budget.alert"


class DeliveryTrouble(StrEnum):
    """Why an attempt, or a delivery, did not succeed: our words, and never the receiver's."""

    refused = "refused"  # an answer with another status than 2xx
    gone = "gone"  # 410: the receiver wants no more
    timed_out = "timed_out"
    unreachable = "unreachable"  # no such name, no connection, no valid certificate, or no HTTP
    url_forbidden = "url_forbidden"  # the name leads to a private address by now
    endpoint_disabled = "endpoint_disabled"
    endpoint_deleted = "endpoint_deleted"


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    by_tenant = "by_tenant"
    gone = "gone"  # it answered 410
    failing = "failing"  # a whole schedule failed, and nothing arrived for days


class DeliveryInput(Frozen):
    """What a delivery's workflow is started with; `attempts` is how many were made in the runs before this one.

    Without a `generation_id` it tells of something else.
    """

    delivery_id: UUID
    generation_id: UUID | None = None
    run: int = 1
    attempts: int = 0


class AttemptOrder(Frozen):
    """Make attempt `number` (from 1, over all runs); when it fails, the next comes after `pause_s` seconds; None: it is the last."""

    delivery_id: UUID
    generation_id: UUID | None = None
    run: int
    number: int
    pause_s: float | None


class AttemptReport(Frozen):
    """How the delivery stands now; `pause_s` is how long to wait before the next attempt (seconds), while it is pending."""

    state: DeliveryState
    status: int | None = None
    trouble: DeliveryTrouble | None = None
    pause_s: float = 0.0
