"""The tables of how providers stand: their traffic, their breakers, what they told us, what operators decided.

Everywhere an empty `model` stands for the provider as a whole.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, Integer
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field
from uuid_utils.compat import uuid7

from contracts.standing import BreakerState, LaneMode
from db.columns import Table, now, word


class Lane(Table, table=True):
    """What an operator decided about a provider or a model; no row: active, with the configured limit.

    `next_create_at`: when the next purchase fits the limit of creates a minute.
    """

    provider: str = Field(primary_key=True, max_length=50)
    model: str = Field(default="", primary_key=True, max_length=100)
    mode: LaneMode = Field(default=LaneMode.active, sa_column=word(LaneMode, "mode"))
    creates_per_minute: int | None = None
    next_create_at: datetime | None = None
    note: str = Field(default="", max_length=1000)
    # The operator's key.
    changed_by: str | None = Field(default=None, max_length=12)
    changed_at: datetime = Field(default_factory=now)


class Breaker(Table, table=True):
    """The breaker of a provider or a model; no row: closed, and nothing has failed.

    `failures` in a row, `successes` since it is half open, `openings` since it was closed last (pauses grow with them).
    `retry_at`: when it may be probed; `probing_until`: somebody does; `trials`: purchases let through while half open,
    the last one at `trial_at`.
    """

    provider: str = Field(primary_key=True, max_length=50)
    model: str = Field(default="", primary_key=True, max_length=100)
    state: BreakerState = Field(default=BreakerState.closed, sa_column=word(BreakerState, "state"))
    failures: int = 0
    successes: int = 0
    openings: int = 0
    trials: int = 0
    cause: str | None = Field(default=None, max_length=50)
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    probing_until: datetime | None = None
    trial_at: datetime | None = None
    changed_at: datetime = Field(default_factory=now)


class TrafficMinute(Table, table=True):
    """What came of purchases in one minute; `took`: how many took how long (see `db.latency`)."""

    __tablename__ = "traffic"

    provider: str = Field(primary_key=True, max_length=50)
    model: str = Field(primary_key=True, max_length=100)
    # In the order in which it is asked: by the last minutes.
    minute: datetime = Field(primary_key=True)
    successes: int = 0
    failures: int = 0
    busy: int = 0
    took: list[int] = Field(default_factory=list, sa_column=Column(ARRAY(Integer), nullable=False))

    __table_args__ = (Index("ix_traffic_minute", "minute"),)


class Busy(Table, table=True):
    """A provider that told one of us to wait, all wait: with purchases until the first time, with looks until the other."""

    provider: str = Field(primary_key=True, max_length=50)
    busy_until: datetime | None = None
    reads_busy_until: datetime | None = None


class ProviderEvent(Table, table=True):
    """What happened to a provider or a model: a breaker changed, an operator decided."""

    __tablename__ = "provider_event"
    __table_args__ = (
        Index("ix_provider_event_provider", "provider", "id"),
        Index("ix_provider_event_created", "created_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    provider: str = Field(max_length=50)
    model: str = Field(default="", max_length=100)
    type: str = Field(max_length=50)
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default_factory=now)
