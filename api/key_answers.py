"""API keys as clients see them, and what clients may say about them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from contracts.frozen import Frozen
from contracts.scopes import USUAL_SCOPES, KeyScope
from db.columns import now
from db.models import ApiKey
from db.tenant_keys import MadeKey, NewKey, is_valid

# A typing slip must not become a limit that no column takes.
MOST_REQUESTS_PER_MINUTE = 1_000_000
LONGEST_GRACE_S = 30 * 24 * 3600
USUAL_GRACE_S = 24 * 3600

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
]
RequestsPerMinute = Annotated[int, Field(ge=1, le=MOST_REQUESTS_PER_MINUTE, examples=[60])]
Moment = Annotated[AwareDatetime, Field(ge="2020-01-01T00:00:00Z", le="2200-01-01T00:00:00Z")]


def _sorted_once(scopes: tuple[KeyScope, ...]) -> tuple[KeyScope, ...]:
    return tuple(scope for scope in KeyScope if scope in scopes)


Scopes = Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=10), AfterValidator(_sorted_once)]


class KeyState(StrEnum):
    """Whether a key is accepted."""

    valid = "valid"
    expired = "expired"
    revoked = "revoked"


class KeyRequest(Frozen):
    """What a new key is to be. No key can give more than it has itself; but budgets of keys are not handed on to it."""

    name: Name = Field(description="What the key is for.", examples=["the web shop"])
    scopes: Scopes = Field(
        default=USUAL_SCOPES, description="`read`: look; `generate`: order, cancel, delete; `admin`: keys and budgets."
    )
    expires_at: Moment | None = Field(
        default=None, description="With time zone. Empty: when the key that makes it expires, which may be never."
    )
    requests_per_minute: RequestsPerMinute | None = Field(
        default=None, description="Beside the tenant's limit. Empty: the limit of the key that makes it, if it has one."
    )

    def as_new(self) -> NewKey:
        """The key that is to be made."""
        return NewKey(self.name, self.scopes, self.expires_at, self.requests_per_minute)


class KeyRotation(Frozen):
    """How a key is replaced."""

    grace_s: int = Field(
        default=USUAL_GRACE_S, ge=0, le=LONGEST_GRACE_S, description="How long the old key is still accepted, seconds."
    )
    expires_at: Moment | None = Field(
        default=None, description="Of the new key. Empty: as that of the key in its place was."
    )


class KeyAnswer(Frozen):
    """An API key, without what opens anything."""

    id: str = Field(examples=["4f1d0c2b9a7e"])
    tenant_id: UUID
    name: str
    state: KeyState
    scopes: tuple[KeyScope, ...]
    operator: bool = Field(description="It decides for the service, over all tenants, and has every scope.")
    requests_per_minute: int | None = Field(description="The key's own limit; null: only the tenant's holds.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="Exact to a minute or so.")
    expires_at: datetime | None
    replaced_by: str | None = Field(description="The id of the key in its place, when it was rotated.")
    budget_key: str = Field(
        description="Whose budgets count it: its own id, or that of the first of the keys that it follows by rotation."
    )
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """A key's row."""
        kept = row.model_dump(exclude={"digest"})
        return cls(**kept | {"state": _state(row), "budget_key": row.budget_key or row.id})


class KeyWithSecret(KeyAnswer):
    """A new key: `api_key` is shown this once."""

    api_key: str = Field(examples=["dio_4f1d0c2b9a7e_..."])

    @classmethod
    def made(cls, made: MadeKey) -> Self:
        """A key that was just made."""
        return cls(api_key=made.key, **KeyAnswer.of(made.row).model_dump())


class KeyList(Frozen):
    """Keys, newest first."""

    items: tuple[KeyAnswer, ...]

    @classmethod
    def of(cls, rows: Sequence[ApiKey]) -> Self:
        """Rows as an answer."""
        return cls(items=tuple(KeyAnswer.of(row) for row in rows))


def _state(row: ApiKey) -> KeyState:
    if row.revoked_at is not None:
        return KeyState.revoked
    return KeyState.valid if is_valid(row, now()) else KeyState.expired
