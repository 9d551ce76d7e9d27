"""The tables of the webhooks that Diorama sends."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field
from uuid_utils.compat import uuid7

from contracts.statuses import DeliveryState
from db.columns import Table, now, word


class WebhookEndpoint(Table, table=True):
    """Where a tenant wants to be told. Its secrets are derived from `id` and `secret_version`, and so are not kept."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index("ix_webhook_endpoint_tenant", "tenant_id", "id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    url: str = Field(max_length=2000)
    description: str = Field(default="", max_length=200)
    # Event types, for example `generation.succeeded`; empty for all of generations.
    events: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    secret_version: int = 1
    # Until then, messages are signed with the version before, too, so that receivers can change over.
    previous_secret_until: datetime | None = None
    created_at: datetime = Field(default_factory=now)
    disabled_at: datetime | None = None
    disabled_reason: str | None = Field(default=None, max_length=100)
    deleted_at: datetime | None = None


class Delivery(Table, table=True):
    """One event on its way to one endpoint: a generation's, made in the transaction that makes the event, or a budget's alert."""

    __table_args__ = (
        CheckConstraint("(generation_id is null) <> (alert_id is null)", name="of_one"),
        Index("uq_delivery_event", "endpoint_id", "generation_id", "event_seq", unique=True),
        Index("uq_delivery_alert", "endpoint_id", "alert_id", unique=True, postgresql_where="alert_id is not null"),
        Index("ix_delivery_undispatched", "id", postgresql_where="dispatched_at is null and state = 'pending'"),
        Index("ix_delivery_pending", "id", postgresql_where="state = 'pending'"),
        Index("ix_delivery_endpoint", "endpoint_id", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    endpoint_id: UUID = Field(foreign_key="webhook_endpoint.id")
    generation_id: UUID | None = Field(default=None, foreign_key="generation.id")
    event_seq: int | None = None
    alert_id: UUID | None = Field(default=None, foreign_key="budget_alert.id")
    event_type: str = Field(max_length=50)
    state: DeliveryState = Field(default=DeliveryState.pending, sa_column=word(DeliveryState, "state"))
    # Counts from 1; a replay by the tenant is a run more.
    run: int = 1
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = Field(default=None, max_length=100)
    created_at: datetime = Field(default_factory=now)
    dispatched_at: datetime | None = None
    next_attempt_at: datetime | None = None
    ended_at: datetime | None = None


class DeliveryAttempt(Table, table=True):
    """One POST to an endpoint: what came back, and how long it took."""

    __tablename__ = "delivery_attempt"

    delivery_id: UUID = Field(foreign_key="delivery.id", primary_key=True)
    number: int = Field(primary_key=True)
    status: int | None = None
    error: str | None = Field(default=None, max_length=100)
    took_ms: int
    attempted_at: datetime = Field(default_factory=now)
