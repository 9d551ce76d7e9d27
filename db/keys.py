"""API keys: `dio_<id>_<secret>`. The secret has 256 bits, so a keyed SHA-256 is enough to keep it at rest."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.columns import now
from db.models import ApiKey, Tenant
from errors import NotFound, Unauthenticated

PREFIX = "dio"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking; `operator`: may decide for the service, over all tenants."""

    tenant_id: UUID
    key_id: str
    operator: bool = False


def new_key() -> str:
    """A fresh key, shown once: `dio_` + 12 hex digits + `_` + 43 URL-safe characters."""
    return f"{PREFIX}_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def _parts(key: str) -> tuple[str, str]:
    pieces = key.split("_", 2)
    if len(pieces) != 3 or pieces[0] != PREFIX or len(pieces[1]) != 12:
        raise Unauthenticated
    return pieces[1], pieces[2]


def _digest(secret: str, pepper: str) -> bytes:
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)


async def ensure_key(
    session: AsyncSession, key: str, *, pepper: str, tenant_name: str, name: str = "", operator: bool = False
) -> UUID:
    """Keep this key for the tenant, making the tenant when it is new; returns the tenant's id. Harmless when repeated.

    A key that is there already becomes an operator's when this says so, and stays as it is otherwise.
    """
    key_id, secret = _parts(key)
    await session.exec(insert(Tenant).values(name=tenant_name, **_defaults()).on_conflict_do_nothing())
    tenant_id = (await session.exec(select(Tenant.id).where(Tenant.name == tenant_name))).one()
    row = {"id": key_id, "tenant_id": tenant_id, "name": name or "key", "digest": _digest(secret, pepper)}
    row |= {"created_at": now(), "operator": operator}
    new = insert(ApiKey).values(row)
    same_key = [new.excluded.digest == ApiKey.digest, new.excluded.operator]
    widened = new.on_conflict_do_update(index_elements=["id"], set_={"operator": True}, where=and_(*same_key))
    await session.exec(widened)
    return tenant_id


def _defaults() -> dict[str, object]:
    tenant = Tenant(name="")
    return {"id": tenant.id, "created_at": tenant.created_at}


async def authenticate(session: AsyncSession, key: str, *, pepper: str) -> Caller:
    """Who this key belongs to. Raises Unauthenticated, after the same work for an unknown id as for a wrong secret."""
    key_id, secret = _parts(key)
    row = (await session.exec(select(ApiKey).where(ApiKey.id == key_id, col(ApiKey.revoked_at).is_(None)))).first()
    expected = row.digest if row else bytes(32)
    if not hmac.compare_digest(expected, _digest(secret, pepper)) or row is None:
        raise Unauthenticated
    return Caller(tenant_id=row.tenant_id, key_id=row.id, operator=row.operator)


async def revoke(session: AsyncSession, key_id: str) -> None:
    """Stop accepting a key. NotFound when there is none."""
    row = await session.get(ApiKey, key_id)
    if row is None:
        raise NotFound
    row.revoked_at = now()
    session.add(row)
