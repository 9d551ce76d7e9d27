"""API keys: `dio_<id>_<secret>`. The secret has 256 bits, so a keyed SHA-256 is enough to keep it at rest."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, bindparam, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.scopes import ALL_SCOPES, USUAL_SCOPES, KeyScope
from db import tenants
from db.columns import now
from db.models import ApiKey, Tenant
from db.tenants import TenantLimits
from errors import ScopeMissing, TenantSuspended, Unauthenticated

PREFIX = "dio"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what they may do.

    `operator`: decides for the service, over all tenants, and has every scope. `tenant`: the limits of the tenant;
    `key_requests_per_minute`: the key's own beside them (None: none).
    """

    tenant_id: UUID
    key_id: str
    operator: bool = False
    scopes: frozenset[KeyScope] = frozenset(USUAL_SCOPES)
    tenant: TenantLimits = field(default_factory=TenantLimits)
    key_requests_per_minute: int | None = None
    expires_at: datetime | None = None

    def may(self, scope: KeyScope) -> bool:
        """Whether the key has the scope."""
        return self.operator or scope in self.scopes

    def check(self, scope: KeyScope) -> None:
        """Raises ScopeMissing when the key lacks the scope."""
        if not self.may(scope):
            raise ScopeMissing(f"The key lacks the scope '{scope}'.", scope=scope.value)


def new_key() -> str:
    """A fresh key, shown once: `dio_` + 12 hex digits + `_` + 43 URL-safe characters."""
    return f"{PREFIX}_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def id_of(key: str) -> str:
    """The id in a key. Raises Unauthenticated for what is no key."""
    return _parts(key)[0]


def _parts(key: str) -> tuple[str, str]:
    pieces = key.split("_", 2)
    if len(pieces) != 3 or pieces[0] != PREFIX or len(pieces[1]) != 12:
        raise Unauthenticated
    return pieces[1], pieces[2]


def digest(key: str, pepper: str) -> bytes:
    """What is kept of a key. Raises Unauthenticated for what is no key."""
    return hmac.digest(pepper.encode(), _parts(key)[1].encode(), hashlib.sha256)


async def ensure_key(
    session: AsyncSession,
    key: str,
    *,
    pepper: str,
    tenant_name: str,
    name: str = "",
    operator: bool = False,
    scopes: Iterable[KeyScope] = ALL_SCOPES,
    expires_at: datetime | None = None,
) -> UUID:
    """Keep this key for the tenant, making the tenant when it is new; returns the tenant's id. Harmless when repeated.

    A key that is there already becomes an operator's when this says so, and stays as it is otherwise.
    """
    tenant_id = await tenants.ensure(session, tenant_name)
    row = {"id": id_of(key), "tenant_id": tenant_id, "name": name or "key", "digest": digest(key, pepper)}
    row |= {"created_at": now(), "operator": operator, "scopes": [str(scope) for scope in scopes]}
    row |= {"expires_at": expires_at}
    new = insert(ApiKey).values(row)
    same_key = [new.excluded.digest == ApiKey.digest, new.excluded.operator]
    widened = new.on_conflict_do_update(index_elements=["id"], set_={"operator": True}, where=and_(*same_key))
    await session.exec(widened)
    return tenant_id


async def authenticate(session: AsyncSession, key: str, *, pepper: str, at: datetime | None = None) -> Caller:
    """Who this key belongs to, at this moment (default: now).

    Raises Unauthenticated, after the same work for an unknown id as for a wrong secret; TenantSuspended for a valid key of
    a suspended tenant. An operator's key goes on: who suspends the own tenant by mistake must be able to resume it.
    """
    given = digest(key, pepper)
    query = select(ApiKey, Tenant).join(Tenant, col(Tenant.id) == ApiKey.tenant_id)
    found = (await session.exec(query.where(ApiKey.id == id_of(key), col(ApiKey.revoked_at).is_(None)))).first()
    if not hmac.compare_digest(found[0].digest if found else bytes(32), given) or found is None:
        raise Unauthenticated
    row, tenant = found
    if row.expires_at is not None and row.expires_at <= (at or now()):
        raise Unauthenticated("The API key has expired.")
    if tenant.suspended_at is not None and not row.operator:
        raise TenantSuspended
    return Caller(
        tenant_id=row.tenant_id,
        key_id=row.id,
        operator=row.operator,
        scopes=frozenset(KeyScope(scope) for scope in row.scopes),
        tenant=TenantLimits.of(tenant),
        key_requests_per_minute=row.requests_per_minute,
        expires_at=row.expires_at,
    )


async def note_uses(session: AsyncSession, uses: Mapping[str, datetime]) -> None:
    """Write down when keys were used last, by their ids."""
    table = ApiKey.metadata.tables["api_key"]
    written = update(table).where(table.c.id == bindparam("key_id")).values(last_used_at=bindparam("used_at"))
    connection = await session.connection()
    # In one order, so that two processes that note the same keys do not wait for each other in a circle.
    await connection.execute(written, [{"key_id": key_id, "used_at": uses[key_id]} for key_id in sorted(uses)])
