"""The tables of protection: what was decided by whom, how fast somebody may ask, secrets of tenants, what was erased."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field
from uuid_utils.compat import uuid7

from db.columns import Table, now


class AuditEntry(Table, table=True):
    """Who did what to whom, when, and from where: every decision about the service, tenants, keys and money.

    Never changed, never deleted: the database refuses it (migration 0004). No prompts, no secrets.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_tenant", "tenant_id", "id"),
        Index("ix_audit_subject", "subject", "subject_id", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    # Whose matter it is; empty: the whole service's.
    tenant_id: UUID | None = None
    # `key:<id>`, `command` for the command line on the server, or `service` for what nobody asked for.
    actor: str = Field(max_length=50)
    address: str | None = Field(default=None, max_length=50)
    request_id: str | None = Field(default=None, max_length=64)
    action: str = Field(max_length=50)
    # A noun and its id: `key`, `tenant`, `budget`, `credential`, `generation`, `spend`, `lane`, `session`, `user` ...
    subject: str = Field(max_length=50)
    subject_id: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=1000)
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)


class RateLimit(Table, table=True):
    """When somebody may ask next: the theoretical arrival time of the generic cell rate algorithm. Unlogged: lost with a
    crash of PostgreSQL, and then everybody begins anew.
    """

    __tablename__ = "rate_limit"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    name: str = Field(primary_key=True, max_length=100)
    next_at: datetime


class ProviderCredential(Table, table=True):
    """A tenant's own key at a provider, encrypted (AES-256-GCM) by a key of the operator's; it is never shown again.

    `sealed_by`: the id of the key that encrypted it, so that keys can be changed one after the other.
    """

    __tablename__ = "provider_credential"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenant.id")
    provider: str = Field(primary_key=True, max_length=50)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    nonce: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed_by: str = Field(max_length=40)
    # The last four characters, so that people can tell keys apart.
    hint: str = Field(default="", max_length=4)
    created_at: datetime = Field(default_factory=now)


class Erasure(Table, table=True):
    """A wish to be forgotten: all pictures and words of a session or of a tenant's user, and the receipt that they are gone."""

    __table_args__ = (Index("ix_erasure_tenant", "tenant_id", "id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    # `session` or `user`; the id itself is only kept as a hash, since it is to be forgotten, too.
    subject: str = Field(max_length=20)
    subject_hash: str = Field(max_length=64)
    requested_by: str = Field(max_length=50)
    # What was removed and looked for: {"generations": 3, "objects": 6, "objects_left": 0, ...}; empty until it is verified.
    receipt: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    created_at: datetime = Field(default_factory=now)
    verified_at: datetime | None = None
