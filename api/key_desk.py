"""Where keys are made, rotated and revoked over HTTP: never more than the key that asks has itself, never an operator's."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.scopes import KeyScope
from db import tenant_keys, tenants
from db.audit import Actor
from db.columns import now
from db.engine import Database
from db.keys import Caller
from db.models import ApiKey, Tenant
from db.tenant_keys import MadeKey, NewKey
from errors import InvalidRequest, NotAnOperator


class KeyDesk:
    """Makes and ends keys. Operators do it for any tenant; admin keys for their own, of which they see no other."""

    def __init__(self, database: Database, pepper: str) -> None:
        self._database = database
        self._pepper = pepper

    async def create(self, caller: Caller, actor: Actor, wanted: NewKey, *, tenant_id: UUID | None = None) -> MadeKey:
        """A key for the caller's tenant; operators name another.

        Raises ScopeMissing, InvalidRequest, TooManyKeys, NotFound (the tenant), DatabaseUnavailable.
        """
        given = _within(caller, wanted)
        _check_future(given.expires_at)
        async with self._database.transaction("key.created") as session:
            whose = tenant_id or caller.tenant_id
            return await tenant_keys.create(session, actor, whose, given, pepper=self._pepper)

    async def create_tenant(self, actor: Actor, new: Tenant, first: NewKey) -> tuple[Tenant, MadeKey]:
        """A tenant and its first key. Raises TenantNameTaken, InvalidRequest, DatabaseUnavailable."""
        _check_future(first.expires_at)
        async with self._database.transaction("tenant.created") as session:
            kept = await tenants.create(session, actor, new)
            made = await tenant_keys.create(session, actor, kept.id, first, pepper=self._pepper)
        return kept, made

    async def rotate(
        self, caller: Caller, actor: Actor, key_id: str, *, grace: timedelta, expires_at: datetime | None
    ) -> MadeKey:
        """A key with the same rights in the place of one.

        Raises NotFound, KeyEnded, TooManyKeys, NotAnOperator for an operator's key, ScopeMissing, InvalidRequest,
        DatabaseUnavailable.
        """
        _check_future(expires_at)
        async with self._database.transaction("key.rotated") as session:
            row = await tenant_keys.found(session, key_id, tenant_id=_reach(caller), lock=True)
            if row.operator:
                raise NotAnOperator("An operator's key is rotated with `diorama keys rotate` alone.")
            replaced = await tenant_keys.to_replace(session, row)
            ends = expires_at or replaced.expires_at
            _check_may_hold(_as_before(caller, row, replaced), row, ends)
            return await tenant_keys.rotate(session, actor, row, pepper=self._pepper, grace=grace, expires_at=ends)

    async def revoke(self, caller: Caller, actor: Actor, key_id: str) -> None:
        """Refuse a key. Raises NotFound, NotAnOperator for an operator's key when another asks, DatabaseUnavailable."""
        async with self._database.transaction("key.revoked") as session:
            row = await tenant_keys.found(session, key_id, tenant_id=_reach(caller), lock=True)
            if row.operator and not caller.operator:
                raise NotAnOperator
            await tenant_keys.revoke(session, actor, row)

    async def read(self, caller: Caller, key_id: str) -> ApiKey:
        """One key. Raises NotFound, DatabaseUnavailable."""
        async with self._database.transaction() as session:
            return await tenant_keys.found(session, key_id, tenant_id=_reach(caller))


def _reach(caller: Caller) -> UUID | None:
    """Whose keys the caller may see; None: all."""
    return None if caller.operator else caller.tenant_id


def _as_before(caller: Caller, row: ApiKey, replaced: ApiKey) -> Caller:
    """Who rotates the own key once more, since the answer was lost, has the end that this key had before its grace."""
    return replace(caller, expires_at=replaced.expires_at) if caller.key_id == row.id else caller


def _within(caller: Caller, wanted: NewKey) -> NewKey:
    """The key as the caller may make it: what was left open is as the caller's own. Raises ScopeMissing, InvalidRequest."""
    if caller.operator:
        return wanted
    given = replace(
        wanted,
        expires_at=wanted.expires_at or caller.expires_at,
        requests_per_minute=wanted.requests_per_minute or caller.key_requests_per_minute,
    )
    _check_scopes(caller, given.scopes)
    _check_expiry(caller, given.expires_at)
    _check_pace(caller, given.requests_per_minute)
    return given


def _check_may_hold(caller: Caller, row: ApiKey, expires_at: datetime | None) -> None:
    """Raises ScopeMissing, InvalidRequest when a key in the place of this one would be more than the caller's own."""
    if caller.operator:
        return
    _check_scopes(caller, (KeyScope(scope) for scope in row.scopes))
    _check_expiry(caller, expires_at)
    _check_pace(caller, row.requests_per_minute)


def _check_scopes(caller: Caller, scopes: Iterable[KeyScope]) -> None:
    for scope in scopes:
        caller.check(scope)


def _check_expiry(caller: Caller, expires_at: datetime | None) -> None:
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise InvalidRequest("A key must not outlive the key that makes it.", field="expires_at")


def _check_pace(caller: Caller, per_minute: int | None) -> None:
    own = caller.key_requests_per_minute
    if own is not None and (per_minute is None or per_minute > own):
        raise InvalidRequest("A key must not be faster than the key that makes it.", field="requests_per_minute")


def _check_future(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= now():
        raise InvalidRequest("The key would have expired already.", field="expires_at")
