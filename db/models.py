"""The tables of what is asked for, bought and kept. Further ones: the other `*_models`."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field
from uuid_utils.compat import uuid7

from contracts.scopes import USUAL_SCOPES
from contracts.statuses import AssetRole, AssetState, Billed, Kind, SpendState, Status, Step
from contracts.tiers import PolicyLevel, Tier
from db.columns import Table, now, usd, word


class Tenant(Table, table=True):
    """Who pays, and whose pictures they are."""

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(unique=True, max_length=100)
    tier: Tier = Field(default=Tier.standard, sa_column=word(Tier, "tier"))
    policy: PolicyLevel = Field(default=PolicyLevel.usual, sa_column=word(PolicyLevel, "policy"))
    # Figures of its own instead of the tier's (contracts.tiers); empty: the tier's.
    requests_per_minute: int | None = None
    in_flight: int | None = None
    per_day: int | None = None
    # How many days its pictures are kept; empty: as the service keeps them.
    keep_pictures_days: int | None = None
    created_at: datetime = Field(default_factory=now)
    # Its keys are refused from then on; what was accepted before goes on.
    suspended_at: datetime | None = None


class ApiKey(Table, table=True):
    """A key of a tenant; only a keyed hash of its secret is kept. An operator's key also opens /v1/operations."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True, max_length=12)
    tenant_id: UUID = Field(foreign_key="tenant.id", index=True)
    name: str = Field(max_length=100)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    operator: bool = False
    scopes: list[str] = Field(default_factory=lambda: list(USUAL_SCOPES), sa_column=Column(ARRAY(Text), nullable=False))
    requests_per_minute: int | None = None
    created_at: datetime = Field(default_factory=now)
    # Written once in a while, not at each use.
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    # The key that takes its place, when it was rotated.
    replaced_by: str | None = Field(default=None, max_length=12)
    # The first of the keys that it follows by rotation, whose budgets count it; empty: it is the first. It never changes.
    budget_key: str | None = Field(default=None, max_length=12)
    revoked_at: datetime | None = None


class Generation(Table, table=True):
    """One accepted request. Ids are UUIDv7, so their order is the order of acceptance."""

    __table_args__ = (
        Index("ix_generation_list", "tenant_id", "id"),
        Index("ix_generation_status", "tenant_id", "status", "id"),
        Index("ix_generation_user", "tenant_id", "user_id", "id", postgresql_where="user_id is not null"),
        Index("ix_generation_session", "tenant_id", "session_id", "id", postgresql_where="session_id is not null"),
        Index("ix_generation_tags", "tags", postgresql_using="gin"),
        Index("ix_generation_undispatched", "id", postgresql_where="dispatched_at is null and status = 'queued'"),
        Index("ix_generation_live", "id", postgresql_where="status in ('queued', 'running')"),
        Index("ix_generation_review", "id", postgresql_where="status = 'needs_review'"),
        Index("ix_generation_unsuccessful", "id", postgresql_where="status in ('failed', 'canceled')"),
        Index("ix_generation_deleted", "deleted_at", postgresql_where="deleted_at is not null"),
        Index("ix_generation_erasure", "erasure_id", "id", postgresql_where="erasure_id is not null"),
        Index(
            "ix_generation_starts_from",
            text("(request ->> 'avatar_asset_id')"),
            postgresql_where="status in ('queued', 'running', 'needs_review')",
        ),
        Index(
            "ix_generation_works_from",
            text("(request -> 'image_asset_ids')"),
            postgresql_using="gin",
            postgresql_where="kind = 'image' and status in ('queued', 'running', 'needs_review')",
        ),
        Index(
            "ix_generation_enhances",
            text("(request ->> 'image_asset_id')"),
            postgresql_where="kind = 'enhance' and status in ('queued', 'running', 'needs_review')",
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
    kind: Kind = Field(sa_column=word(Kind, "kind"))
    status: Status = Field(default=Status.queued, sa_column=word(Status, "status"))
    stage: str = Field(default="", max_length=200)
    progress: float = Field(default=0.0)
    request: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    # Who asked; empty for what was accepted before it was written down.
    key_id: str | None = Field(default=None, max_length=12)
    session_id: str | None = Field(default=None, max_length=100)
    # A person among the tenant's own users, by the tenant's word for them.
    user_id: str | None = Field(default=None, max_length=100)
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_hash: str = Field(max_length=64)
    acceptance: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    input_asset_id: UUID | None = None
    # The story is told once more, under a workflow id of its own, after an operator's decision or when the engine lost it.
    run: int = 1
    quote_max_usd: Decimal = Field(sa_column=usd())
    # What of that still counts against budgets as promised (USD): all of it until the end, nothing after it.
    hold_usd: Decimal = Field(default=Decimal(0), sa_column=usd())
    cost_usd: Decimal | None = Field(default=None, sa_column=usd(nullable=True))
    # What of the cost was bought with the tenant's own provider keys: the service does not pay it. Nothing while people decide.
    own_keys_usd: Decimal = Field(default=Decimal(0), sa_column=usd())
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
    # The wish to forget it (db/erasures.py): its words and pictures go, its amounts stay.
    erasure_id: UUID | None = None


class Asset(Table, table=True):
    """A picture: this row, and an object in the store under `key`. The row is written first and ends last."""

    __table_args__ = (
        Index("ix_asset_generation", "generation_id"),
        Index("ix_asset_raw", "spend_id", postgresql_where="role = 'raw'"),
        Index("ix_asset_tenant", "tenant_id", "id"),
        Index("ix_asset_unfinished", "id", postgresql_where="state in ('pending', 'deleting')"),
        Index("ix_asset_stored", "stored_at", postgresql_where="state = 'stored'"),
        Index("ix_asset_upload", "tenant_id", "sha256", postgresql_where="role = 'input' and generation_id is null"),
        Index(
            "ix_asset_upload_unused",
            "stored_at",
            postgresql_where="role = 'input' and generation_id is null and used_at is null and state = 'stored'",
        ),
        Index("ix_asset_raw_stored", "id", postgresql_where="role in ('raw', 'partial') and state = 'stored'"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    # Empty for what a client uploaded, which any of its generations may use; and, for a moment, for a picture behind a URL,
    # which is stored just before its generation is accepted.
    generation_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("generation.id"), nullable=True))
    # The purchase that it came from; empty for what clients bring.
    spend_id: UUID | None = None
    step: Step = Field(sa_column=word(Step, "step"))
    role: AssetRole = Field(default=AssetRole.picture, sa_column=word(AssetRole, "role"))
    state: AssetState = Field(default=AssetState.pending, sa_column=word(AssetState, "state"))
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
    # When a generation that starts from an upload was accepted first; one that nobody uses is not kept.
    used_at: datetime | None = None
    deleted_at: datetime | None = None


class Spend(Table, table=True):
    """One intent to buy one picture. Committed before anything is sent; see docs/architecture.md, 'Buying once'."""

    __table_args__ = (
        Index("uq_spend_purchase", "generation_id", "step", "purchase", unique=True),
        Index("ix_spend_tenant", "tenant_id", "generation_id"),
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
    step: Step = Field(sa_column=word(Step, "step"))
    purchase: int
    state: SpendState = Field(default=SpendState.held, sa_column=word(SpendState, "state"))
    provider: str = Field(max_length=50)
    model: str = Field(max_length=100)
    # Bought with the tenant's own key at the provider: the service pays nothing for it.
    own_key: bool = False
    token: str = Field(unique=True, max_length=64)
    prompt: str = Field(sa_column=Column(Text, nullable=False))
    prompt_name: str = Field(max_length=50)
    prompt_version: str = Field(max_length=20)
    prompt_hash: str = Field(max_length=64)
    hold_usd: Decimal = Field(sa_column=usd())
    # The catalog's price: what is settled when the provider charges and does not say how much.
    likely_usd: Decimal | None = Field(default=None, sa_column=usd(nullable=True))
    cost_usd: Decimal | None = Field(default=None, sa_column=usd(nullable=True))
    # The state of the catalog's prices that the amounts come from, e.g. `2026-11-20`.
    price_version: str | None = Field(default=None, max_length=20)
    billed: Billed | None = Field(default=None, sa_column=word(Billed, "billed", nullable=True))
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
