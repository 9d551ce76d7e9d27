"""Tenants' own keys at providers: set, listed without the key, removed, sealed anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.audit import Actor, record
from db.columns import now
from db.credential_safe import CredentialSafe, Sealed
from db.protection_models import ProviderCredential
from errors import CredentialUnreadable, NotFound

# A key that is shorter has no end that says nothing about the rest.
SHORTEST_WITH_HINT: Final = 16


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many keys were encrypted anew, and those that could not be read: the key that sealed them is not here."""

    count: int
    unreadable: Sequence[ProviderCredential]


async def put(
    session: AsyncSession, actor: Actor, safe: CredentialSafe, *, tenant_id: UUID, provider: str, key: str
) -> ProviderCredential:
    """Keep a tenant's key at a provider, in place of the one before: for every purchase that begins from now on."""
    sealed = safe.sealed(tenant_id, provider, key)
    values = {
        "sealed": sealed.body,
        "nonce": sealed.nonce,
        "sealed_by": sealed.by,
        "hint": key[-4:] if len(key) >= SHORTEST_WITH_HINT else "",
        "created_at": now(),
    }
    # One statement: of two at once the second one finds the first's row, which is not there yet when it begins.
    new = insert(ProviderCredential).values(tenant_id=tenant_id, provider=provider, **values)
    await session.exec(new.on_conflict_do_update(index_elements=["tenant_id", "provider"], set_=values))
    row = await session.get_one(ProviderCredential, (tenant_id, provider), populate_existing=True)
    await record(session, actor, "credential.set", "credential", provider, tenant_id=tenant_id, hint=row.hint)
    return row


async def listed(session: AsyncSession, tenant_id: UUID) -> Sequence[ProviderCredential]:
    """A tenant's keys at providers, by their names."""
    query = select(ProviderCredential).where(ProviderCredential.tenant_id == tenant_id)
    return (await session.exec(query.order_by(col(ProviderCredential.provider)))).all()


async def of_tenant(session: AsyncSession, tenant_id: UUID, provider: str) -> ProviderCredential | None:
    """A tenant's key at a provider, sealed."""
    return await session.get(ProviderCredential, (tenant_id, provider))


async def remove(session: AsyncSession, actor: Actor, tenant_id: UUID, provider: str) -> None:
    """Forget a key: what is bought from now on is bought with the service's own. Raises NotFound."""
    row = await session.get(ProviderCredential, (tenant_id, provider), with_for_update=True)
    if row is None:
        raise NotFound("There is no key of this tenant at this provider.")
    await session.delete(row)
    await record(session, actor, "credential.removed", "credential", provider, tenant_id=tenant_id, hint=row.hint)


async def reseal(session: AsyncSession, actor: Actor, safe: CredentialSafe) -> Resealed:
    """Encrypt by the newest key what an older one sealed. A row that cannot be read stays as it is.

    What the newest sealed is opened, too: its name may stand before other bytes than then.
    """
    query = select(ProviderCredential).order_by(col(ProviderCredential.tenant_id), col(ProviderCredential.provider))
    count, unreadable = 0, []
    for row in (await session.exec(query.with_for_update())).all():
        try:
            key = safe.opened(row.tenant_id, row.provider, sealed_of(row))
        except CredentialUnreadable:
            unreadable.append(row)
            continue
        if row.sealed_by != safe.newest:
            _seal(row, safe.sealed(row.tenant_id, row.provider, key))
            session.add(row)
            count += 1
    if count:
        await record(session, actor, "credential.resealed", "credential", sealed_by=safe.newest, count=count)
    return Resealed(count, unreadable)


def sealed_of(row: ProviderCredential) -> Sealed:
    """The row's key as the safe opens it."""
    return Sealed(row.sealed, row.nonce, row.sealed_by)


def _seal(row: ProviderCredential, sealed: Sealed) -> None:
    row.sealed, row.nonce, row.sealed_by = sealed.body, sealed.nonce, sealed.by
