"""The table of calls that came in OpenAI's form: their clients repeat a call without saying which one they mean."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field
from uuid_utils.compat import uuid7

from db.columns import Table, now


class CompatibleCall(Table, table=True):
    """One call and all its repetitions; written before its generation is accepted, under the key that it is accepted with.

    `implied`: the client named no key, and this one was made for it; `attempt`: the number of the last repetition, from 0.
    `answered_at`: when all of a good answer had been written to the client.
    """

    __tablename__ = "compatible_call"
    __table_args__ = (
        Index("uq_compatible_call_key", "tenant_id", "idempotency_key", unique=True),
        Index("ix_compatible_call_implied", "tenant_id", "request_hash", postgresql_where="implied"),
        Index("ix_compatible_call_created", "created_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    # Of the API key: two applications of one tenant are two clients.
    key_id: str = Field(max_length=12)
    idempotency_key: str = Field(max_length=255)
    request_hash: str = Field(max_length=64)
    implied: bool
    attempt: int = 0
    created_at: datetime = Field(default_factory=now)
    answered_at: datetime | None = None
