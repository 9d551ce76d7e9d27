"""The tables of operating: what providers told us, what was found astray, what operators decided."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field
from uuid_utils.compat import uuid7

from db.columns import Table, now


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
