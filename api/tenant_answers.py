"""Tenants as operators see them, and what operators may say about them."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.key_answers import KeyWithSecret, Moment, Name, RequestsPerMinute
from contracts.frozen import Frozen
from contracts.reviews import Note
from contracts.scopes import ALL_SCOPES
from contracts.tiers import PolicyLevel, Tier
from db.models import Tenant
from db.tenant_keys import NewKey
from db.tenants import CHANGEABLE, TenantLimits

MOST_GENERATIONS = 10_000_000
LONGEST_RETENTION_DAYS = 36_500

Generations = Annotated[int, Field(ge=0, le=MOST_GENERATIONS)]
Days = Annotated[int, Field(ge=1, le=LONGEST_RETENTION_DAYS)]


class TenantRequest(Frozen):
    """A new tenant. What is left out is as the tier has it (docs/tenants.md)."""

    name: Name = Field(examples=["Harbour Books"])
    tier: Tier = Tier.standard
    policy: PolicyLevel = PolicyLevel.usual
    requests_per_minute: RequestsPerMinute | None = None
    in_flight: Generations | None = Field(default=None, description="Generations accepted and not ended.")
    per_day: Generations | None = Field(default=None, description="Generations accepted in a day, by UTC.")
    keep_pictures_days: Days | None = Field(default=None, description="Empty: as the service keeps them.")
    key_name: Name = Field(default="first key", description="Of the admin key that the answer shows.")
    key_expires_at: Moment | None = None

    def as_row(self) -> Tenant:
        """The row of the tenant."""
        return Tenant(**self.model_dump(include=set(CHANGEABLE)))

    def first_key(self) -> NewKey:
        """A key with all scopes, so that the tenant can make its others."""
        return NewKey(self.key_name, ALL_SCOPES, self.key_expires_at)


class TenantChange(Frozen):
    """What is to be different; what is left out stays, and null is what the tier, or the service, has."""

    name: Name | None = None
    tier: Tier | None = None
    policy: PolicyLevel | None = None
    requests_per_minute: RequestsPerMinute | None = None
    in_flight: Generations | None = None
    per_day: Generations | None = None
    keep_pictures_days: Days | None = None

    @model_validator(mode="after")
    def _what_cannot_be_empty(self) -> Self:
        if empty := [
            name for name in ("name", "tier", "policy") if name in self.model_fields_set and not self._of(name)
        ]:
            raise ValueError(f"{empty[0]} must not be null")
        return self

    def _of(self, name: str) -> Any:
        return getattr(self, name)

    def changes(self) -> dict[str, Any]:
        """The fields that were given."""
        return {name: self._of(name) for name in CHANGEABLE if name in self.model_fields_set}


class TenantDecision(Frozen):
    """Why a tenant is suspended or resumed."""

    note: Note = Field(
        description="Why; kept in the audit log, where the tenant reads it.",
        examples=["the invoice of October is unpaid"],
    )


class LimitsAnswer(Frozen):
    """What holds for the tenant: its own figures, or else its tier's; null: no limit."""

    requests_per_minute: int | None
    in_flight: int | None
    per_day: int | None
    weight: float = Field(description="Its share of the work where tenants wait for each other.")


class TenantAnswer(Frozen):
    """A tenant."""

    id: UUID
    name: str
    tier: Tier
    policy: PolicyLevel
    requests_per_minute: int | None = Field(description="Its own figure; null: the tier's.")
    in_flight: int | None = Field(description="Its own figure; null: the tier's.")
    per_day: int | None = Field(description="Its own figure; null: the tier's.")
    keep_pictures_days: int | None = Field(description="Its own figure; null: the service's.")
    limits: LimitsAnswer
    created_at: datetime
    suspended_at: datetime | None = Field(description="Since then its keys are refused.")

    @classmethod
    def of(cls, row: Tenant) -> Self:
        """A tenant's row."""
        allowance = TenantLimits.of(row).allowance
        limits = LimitsAnswer(
            requests_per_minute=allowance.requests_per_minute,
            in_flight=allowance.in_flight,
            per_day=allowance.per_day,
            weight=allowance.weight,
        )
        return cls(limits=limits, **row.model_dump())


class TenantWithKey(TenantAnswer):
    """A new tenant with its first key, which has all scopes and is shown this once."""

    key: KeyWithSecret


class TenantPage(Frozen):
    """Tenants, newest first; `next_cursor` leads to older ones."""

    items: tuple[TenantAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class TenantQuery(Frozen):
    """Which page."""

    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)
