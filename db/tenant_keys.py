"""The keys that a tenant has: made, listed, rotated and revoked, each in the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.scopes import KeyScope
from db import keys
from db.audit import OF_KEY, Actor, record
from db.columns import now
from db.models import ApiKey, Tenant
from errors import KeyEnded, NotFound, TooManyKeys

# Enough for each server and person of a large tenant; without a limit an admin key that was stolen could fill the table.
MOST_KEYS: Final = 100
# With those that were rotated and go on for their grace: else a chain of rotations would make as many as somebody likes.
MOST_WITH_GRACE: Final = 2 * MOST_KEYS
ENDED_SHOWN: Final = 100
# More than MOST_WITH_GRACE, since keys that a server makes of its own settings are not counted.
VALID_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is to be. `requests_per_minute`: None for no limit of its own."""

    name: str
    scopes: tuple[KeyScope, ...]
    expires_at: datetime | None = None
    requests_per_minute: int | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key's row, and the key itself, which is nowhere kept."""

    row: ApiKey
    key: str


def is_valid(row: ApiKey, at: datetime) -> bool:
    """Whether the key is accepted at a moment."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > at)


async def create(session: AsyncSession, actor: Actor, tenant_id: UUID, wanted: NewKey, *, pepper: str) -> MadeKey:
    """Make a key. Raises TooManyKeys; NotFound when there is no such tenant."""
    await _room_for_one_more(session, tenant_id, col(ApiKey.replaced_by).is_(None), most=MOST_KEYS)
    made = _made(tenant_id, wanted, pepper=pepper)
    session.add(made.row)
    await session.flush()
    await record(session, actor, "key.created", "key", made.row.id, tenant_id=tenant_id, **_told(made.row))
    return made


async def rotate(
    session: AsyncSession,
    actor: Actor,
    row: ApiKey,
    *,
    pepper: str,
    grace: timedelta,
    expires_at: datetime | None = None,
) -> MadeKey:
    """Make a key with the same rights in the place of one, which ends after `grace`; budgets go on counting with the new one.

    `row` must have been read with a lock. A successor that it has already is revoked, when nobody ever used it: the answer
    that showed it was lost. `expires_at`: None for the end that the key, or that successor, has.

    Raises KeyEnded when it is no longer valid, or what took its place was used; TooManyKeys.
    """
    replaced = await to_replace(session, row)
    if replaced is not row:
        await revoke(session, actor, replaced)
    await _room_for_one_more(session, row.tenant_id, most=MOST_WITH_GRACE)
    same = NewKey(
        name=row.name,
        scopes=tuple(KeyScope(scope) for scope in row.scopes),
        expires_at=expires_at or replaced.expires_at,
        requests_per_minute=row.requests_per_minute,
        operator=row.operator,
    )
    made = _made(row.tenant_id, same, pepper=pepper)
    made.row.budget_key = row.budget_key or row.id
    row.replaced_by = made.row.id
    if replaced is row:
        ends = now() + grace
        row.expires_at = ends if row.expires_at is None else min(ends, row.expires_at)
    session.add_all([made.row, row])
    await session.flush()
    facts: dict[str, Any] = {"replaced_by": made.row.id, "old_expires_at": row.expires_at, **_told(made.row)}
    await record(session, actor, "key.rotated", "key", row.id, tenant_id=row.tenant_id, **facts)
    return made


async def to_replace(session: AsyncSession, row: ApiKey) -> ApiKey:
    """The key that a rotation replaces: this one, or its successor that nobody ever used.

    Raises KeyEnded when this one is no longer valid, or what took its place was used.
    """
    if not is_valid(row, now()):
        raise KeyEnded(replaced_by=row.replaced_by)
    if row.replaced_by is None:
        return row
    never_used = [col(ApiKey.last_used_at).is_(None), col(ApiKey.replaced_by).is_(None), *_valid()]
    query = select(ApiKey).where(ApiKey.id == row.replaced_by, *never_used)
    # One that somebody holds is being used in this moment: not waited for, so that nobody waits in a circle.
    successor = (await session.exec(query.with_for_update(skip_locked=True))).first()
    if successor is None:
        raise KeyEnded(replaced_by=row.replaced_by)
    return successor


async def revoke(session: AsyncSession, actor: Actor, row: ApiKey) -> None:
    """Stop accepting a key. Repeating changes nothing."""
    if row.revoked_at is not None:
        return
    row.revoked_at = now()
    session.add(row)
    await record(session, actor, "key.revoked", "key", row.id, tenant_id=row.tenant_id, name=row.name)


async def found(session: AsyncSession, key_id: str, *, tenant_id: UUID | None, lock: bool = False) -> ApiKey:
    """A key of the tenant; of any, for `tenant_id` None. Raises NotFound."""
    query = select(ApiKey).where(ApiKey.id == key_id)
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    row = (await session.exec(query.with_for_update() if lock else query)).first()
    if row is None:
        raise NotFound("There is no such key.")
    return row


async def listed(session: AsyncSession, tenant_id: UUID, *, ended: bool = False) -> Sequence[ApiKey]:
    """The tenant's valid keys, newest first; with `ended` also the newest hundred of those that are valid no longer."""
    mine = select(ApiKey).where(ApiKey.tenant_id == tenant_id).order_by(col(ApiKey.created_at).desc(), col(ApiKey.id))
    valid = list((await session.exec(mine.where(*_valid()).limit(VALID_SHOWN))).all())
    if not ended:
        return valid
    expired = col(ApiKey.expires_at) <= now()
    over = mine.where(or_(col(ApiKey.revoked_at).is_not(None), expired)).limit(ENDED_SHOWN)
    return [*valid, *(await session.exec(over)).all()]


async def actors_of(session: AsyncSession, tenant_id: UUID, actors: Collection[str]) -> frozenset[str]:
    """Which of these actors of the audit log are keys of the tenant, and not an operator's."""
    ids = [actor.removeprefix(OF_KEY) for actor in actors if actor.startswith(OF_KEY)]
    query = select(ApiKey.id).where(
        ApiKey.tenant_id == tenant_id, col(ApiKey.id).in_(ids), col(ApiKey.operator).is_(False)
    )
    return frozenset(f"{OF_KEY}{key_id}" for key_id in (await session.exec(query)).all())


def _valid() -> tuple[ColumnElement[bool], ...]:
    expires = col(ApiKey.expires_at)
    return col(ApiKey.revoked_at).is_(None), or_(expires.is_(None), expires > now())


async def _room_for_one_more(session: AsyncSession, tenant_id: UUID, *counted: ColumnElement[bool], most: int) -> None:
    """Raises TooManyKeys. The tenant's row is locked, so that two at once cannot both be the last."""
    locked = select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True)
    if (await session.exec(locked)).first() is None:
        raise NotFound("There is no such tenant.")
    theirs = [col(ApiKey.tenant_id) == tenant_id, *counted, *_valid()]
    have = (await session.exec(select(func.count()).select_from(ApiKey).where(*theirs))).one()
    if have >= most:
        raise TooManyKeys(most=most)


def _made(tenant_id: UUID, wanted: NewKey, *, pepper: str) -> MadeKey:
    key = keys.new_key()
    row = ApiKey(
        id=keys.id_of(key),
        tenant_id=tenant_id,
        name=wanted.name,
        digest=keys.digest(key, pepper),
        operator=wanted.operator,
        scopes=[str(scope) for scope in wanted.scopes],
        requests_per_minute=wanted.requests_per_minute,
        expires_at=wanted.expires_at,
    )
    return MadeKey(row, key)


def _told(row: ApiKey) -> dict[str, Any]:
    """What the audit log says of a new key."""
    return {
        "name": row.name,
        "scopes": row.scopes,
        "operator": row.operator,
        "expires_at": row.expires_at,
        "requests_per_minute": row.requests_per_minute,
    }
