"""The tables, nothing else."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Enum, ForeignKey, Index, LargeBinary, MetaData, Numeric, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from contracts.statuses import AssetRole, AssetState, Billed, DeliveryState, Kind, SpendState, Status, Step

# Fixed names, so that a migration can speak of a constraint that another machine made.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """What all tables share: their metadata."""

    metadata = MetaData(naming_convention=NAMING)


def now() -> datetime:
    """The time, with its zone: columns refuse naive times."""
    return datetime.now(UTC)


def _word(words: type[StrEnum], name: str, *, nullable: bool = False, index: bool = False) -> Column[Any]:
    """An enum kept as text with a check constraint, so that a new word is an ordinary migration."""
    values = Enum(
        words,
        native_enum=False,
        create_constraint=True,
        length=20,
        name=name,
        values_callable=lambda cls: [str(word) for word in cls],
    )
    return Column(values, nullable=nullable, index=index)


def _usd(*, nullable: bool = False) -> Column[Any]:
    return Column(Numeric(12, 6), nullable=nullable)


class Tenant(Table, table=True):
    """Who pays, and whose pictures they are."""

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(unique=True, max_length=100)
    created_at: datetime = Field(default_factory=now)


class ApiKey(Table, table=True):
    """A key of a tenant; only a keyed hash of its secret is kept. An operator's key also opens /v1/operations."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True, max_length=12)
    tenant_id: UUID = Field(foreign_key="tenant.id", index=True)
    name: str = Field(max_length=100)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    operator: bool = False
    created_at: datetime = Field(default_factory=now)
    revoked_at: datetime | None = None


class Generation(Table, table=True):
    """One accepted request. Ids are UUIDv7, so their order is the order of acceptance."""

    __table_args__ = (
        Index("ix_generation_list", "tenant_id", "id"),
        Index("ix_generation_status", "tenant_id", "status", "id"),
        Index("ix_generation_session", "tenant_id", "session_id", "id", postgresql_where="session_id is not null"),
        Index("ix_generation_tags", "tags", postgresql_using="gin"),
        Index("ix_generation_undispatched", "id", postgresql_where="dispatched_at is null and status = 'queued'"),
        Index("ix_generation_live", "id", postgresql_where="status in ('queued', 'running')"),
        Index("ix_generation_review", "id", postgresql_where="status = 'needs_review'"),
        Index("ix_generation_unsuccessful", "id", postgresql_where="status in ('failed', 'canceled')"),
        Index("ix_generation_deleted", "deleted_at", postgresql_where="deleted_at is not null"),
        Index(
            "ix_generation_starts_from",
            text("(request ->> 'avatar_asset_id')"),
            postgresql_where="status in ('queued', 'running', 'needs_review')",
        ),
        Index(
            "uq_generation_idempotency",
            "tenant_id",
            "idempotency_key",
            unique=True,
            postgresql_where="idempotency_key is not null",
        ),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    kind: Kind = Field(sa_column=_word(Kind, "kind"))
    status: Status = Field(default=Status.queued, sa_column=_word(Status, "status"))
    stage: str = Field(default="", max_length=200)
    progress: float = Field(default=0.0)
    request: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    session_id: str | None = Field(default=None, max_length=100)
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_hash: str = Field(max_length=64)
    acceptance: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    input_asset_id: UUID | None = None
    # The story is told once more, under a workflow id of its own, after an operator's decision or when the engine lost it.
    run: int = 1
    quote_max_usd: Decimal = Field(sa_column=_usd())
    cost_usd: Decimal | None = Field(default=None, sa_column=_usd(nullable=True))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    rollback: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    event_seq: int = 0
    created_at: datetime = Field(default_factory=now)
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    finished_at: datetime | None = None
    deleted_at: datetime | None = None


class Asset(Table, table=True):
    """A picture: this row, and an object in the store under `key`. The row is written first and ends last."""

    __table_args__ = (
        Index("ix_asset_generation", "generation_id"),
        Index("ix_asset_raw", "spend_id", postgresql_where="role = 'raw'"),
        Index("ix_asset_tenant", "tenant_id", "id"),
        Index("ix_asset_unfinished", "id", postgresql_where="state in ('pending', 'deleting')"),
        Index("ix_asset_stored", "stored_at", postgresql_where="state = 'stored'"),
        Index("ix_asset_raw_stored", "id", postgresql_where="role = 'raw' and state = 'stored'"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    # A client's picture is stored just before its generation is accepted, so this may be empty for a moment.
    generation_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("generation.id"), nullable=True))
    # The purchase that it came from; empty for what clients bring.
    spend_id: UUID | None = None
    step: Step = Field(sa_column=_word(Step, "step"))
    role: AssetRole = Field(default=AssetRole.picture, sa_column=_word(AssetRole, "role"))
    state: AssetState = Field(default=AssetState.pending, sa_column=_word(AssetState, "state"))
    # In the order of its bytes, in which the store lists its objects, too.
    key: str = Field(sa_column=Column(String(300, collation="C"), unique=True, nullable=False))
    content_type: str = Field(max_length=50)
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(max_length=64)
    width: int
    height: int
    provider: str | None = Field(default=None, max_length=50)
    model: str | None = Field(default=None, max_length=100)
    prompt_name: str | None = Field(default=None, max_length=50)
    prompt_version: str | None = Field(default=None, max_length=20)
    prompt_hash: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=now)
    stored_at: datetime | None = None
    deleted_at: datetime | None = None


class Spend(Table, table=True):
    """One intent to buy one picture. Committed before anything is sent; see docs/architecture.md, 'Buying once'."""

    __table_args__ = (
        Index("uq_spend_purchase", "generation_id", "step", "purchase", unique=True),
        Index(
            "uq_spend_job",
            "provider",
            "provider_job_id",
            unique=True,
            postgresql_where="provider_job_id is not null",
        ),
        Index("ix_spend_open", "id", postgresql_where="state in ('held', 'sent', 'submitted', 'unknown')"),
        Index(
            "ix_spend_unverified",
            "id",
            postgresql_where="state = 'settled' and billed = 'unknown' and verified_at is null",
        ),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    generation_id: UUID = Field(foreign_key="generation.id")
    step: Step = Field(sa_column=_word(Step, "step"))
    purchase: int
    state: SpendState = Field(default=SpendState.held, sa_column=_word(SpendState, "state"))
    provider: str = Field(max_length=50)
    model: str = Field(max_length=100)
    token: str = Field(unique=True, max_length=64)
    prompt: str = Field(sa_column=Column(Text, nullable=False))
    prompt_name: str = Field(max_length=50)
    prompt_version: str = Field(max_length=20)
    prompt_hash: str = Field(max_length=64)
    hold_usd: Decimal = Field(sa_column=_usd())
    # The catalog's price: what is settled when the provider charges and does not say how much.
    likely_usd: Decimal | None = Field(default=None, sa_column=_usd(nullable=True))
    cost_usd: Decimal | None = Field(default=None, sa_column=_usd(nullable=True))
    billed: Billed | None = Field(default=None, sa_column=_word(Billed, "billed", nullable=True))
    possible_duplicate: bool = False
    lease: int = 1
    lease_until: datetime
    deadline_at: datetime
    sends: int = 0
    provider_job_id: str | None = Field(default=None, max_length=100)
    raw_asset_id: UUID | None = None
    asset_id: UUID | None = None
    error_code: str | None = Field(default=None, max_length=50)
    # What else is known of the failure, in words and numbers that a client may see.
    error_facts: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    created_at: datetime = Field(default_factory=now)
    sent_at: datetime | None = None
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    # When the provider was asked about a purchase that had ended without its word.
    verified_at: datetime | None = None


class Event(Table, table=True):
    """What happened to a generation, numbered from 1 without gaps, written in the transaction that made it true."""

    generation_id: UUID = Field(foreign_key="generation.id", primary_key=True)
    seq: int = Field(primary_key=True)
    type: str = Field(max_length=50)
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)


class Notice(Table, table=True):
    """A provider's webhook, once per webhook id: word of a job, not believed before the provider was asked."""

    __table_args__ = (Index("ix_notice_token", "token"), Index("ix_notice_received", "received_at"))

    id: str = Field(primary_key=True, max_length=200)
    provider: str = Field(max_length=50)
    token: str = Field(max_length=64)
    job_id: str | None = Field(default=None, max_length=100)
    received_at: datetime = Field(default_factory=now)


class Finding(Table, table=True):
    """Something that the reconciler found astray, and what it did about it."""

    __table_args__ = (
        Index("ix_finding_kind", "kind", "id"),
        Index("ix_finding_generation", "generation_id"),
        Index("ix_finding_created", "created_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str = Field(max_length=50)
    action: str = Field(max_length=50)
    tenant_id: UUID | None = None
    generation_id: UUID | None = None
    spend_id: UUID | None = None
    asset_id: UUID | None = None
    # Somebody else's object may have a key that is longer than any of ours.
    object_key: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)


class OperatorAction(Table, table=True):
    """What an operator decided, who it was, and why. Never changed, never deleted."""

    __tablename__ = "operator_action"
    __table_args__ = (Index("ix_operator_action_generation", "generation_id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    key_id: str = Field(foreign_key="api_key.id", max_length=12)
    action: str = Field(max_length=50)
    generation_id: UUID | None = None
    spend_id: UUID | None = None
    note: str = Field(default="", max_length=1000)
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)


class WebhookEndpoint(Table, table=True):
    """Where a tenant wants to be told. Its secrets are derived from `id` and `secret_version`, and so are not kept."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index("ix_webhook_endpoint_tenant", "tenant_id", "id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    url: str = Field(max_length=2000)
    description: str = Field(default="", max_length=200)
    # Event types, for example `generation.succeeded`; empty for all.
    events: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    secret_version: int = 1
    # Until then, messages are signed with the version before, too, so that receivers can change over.
    previous_secret_until: datetime | None = None
    created_at: datetime = Field(default_factory=now)
    disabled_at: datetime | None = None
    disabled_reason: str | None = Field(default=None, max_length=100)
    deleted_at: datetime | None = None


class Delivery(Table, table=True):
    """One event on its way to one endpoint; made in the transaction that makes the event."""

    __table_args__ = (
        Index("uq_delivery_event", "endpoint_id", "generation_id", "event_seq", unique=True),
        Index("ix_delivery_undispatched", "id", postgresql_where="dispatched_at is null and state = 'pending'"),
        Index("ix_delivery_pending", "id", postgresql_where="state = 'pending'"),
        Index("ix_delivery_endpoint", "endpoint_id", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    endpoint_id: UUID = Field(foreign_key="webhook_endpoint.id")
    generation_id: UUID = Field(foreign_key="generation.id")
    event_seq: int
    event_type: str = Field(max_length=50)
    state: DeliveryState = Field(default=DeliveryState.pending, sa_column=_word(DeliveryState, "state"))
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
