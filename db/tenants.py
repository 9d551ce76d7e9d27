"""Tenants: who pays, and what they may do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.tiers import ALLOWANCES, Allowance, PolicyLevel, Tier
from db.audit import Actor, record
from db.columns import now
from db.models import Tenant
from errors import NotFound, TenantNameTaken

# What operators may change of a tenant.
CHANGEABLE: Final = (
    "name",
    "tier",
    "policy",
    "requests_per_minute",
    "in_flight",
    "per_day",
    "keep_pictures_days",
)


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """What a tenant may do: the tier's allowance, with the tenant's own figures in place of the tier's."""

    tier: Tier = Tier.standard
    policy: PolicyLevel = PolicyLevel.usual
    allowance: Allowance = ALLOWANCES[Tier.standard]

    @classmethod
    def of(cls, row: Tenant) -> Self:
        """The limits of a tenant."""
        usual = ALLOWANCES[row.tier]
        own = Allowance(
            requests_per_minute=_first(row.requests_per_minute, usual.requests_per_minute),
            in_flight=_first(row.in_flight, usual.in_flight),
            per_day=_first(row.per_day, usual.per_day),
            weight=usual.weight,
        )
        return cls(row.tier, row.policy, own)


def _first(own: int | None, usual: int | None) -> int | None:
    return usual if own is None else own


async def ensure(session: AsyncSession, name: str) -> UUID:
    """The id of the tenant of this name, which is made when there is none."""
    new = Tenant(name=name)
    values = {"id": new.id, "name": name, "created_at": new.created_at, "tier": new.tier, "policy": new.policy}
    await session.exec(insert(Tenant).values(values).on_conflict_do_nothing())
    return (await session.exec(select(Tenant.id).where(Tenant.name == name))).one()


async def create(session: AsyncSession, actor: Actor, new: Tenant) -> Tenant:
    """Keep a new tenant. Raises TenantNameTaken."""
    await _keep(session, new)
    await record(session, actor, "tenant.created", "tenant", str(new.id), tenant_id=new.id, **_told(new))
    return new


async def found(session: AsyncSession, tenant_id: UUID, *, lock: bool = False) -> Tenant:
    """The tenant; `lock` keeps others from changing it meanwhile. Raises NotFound."""
    query = select(Tenant).where(Tenant.id == tenant_id)
    row = (await session.exec(query.with_for_update(key_share=True) if lock else query)).first()
    if row is None:
        raise NotFound("There is no such tenant.")
    return row


async def by_name(session: AsyncSession, name: str) -> Tenant:
    """The tenant of this name. Raises NotFound."""
    row = (await session.exec(select(Tenant).where(Tenant.name == name))).first()
    if row is None:
        raise NotFound(f"There is no tenant '{name}'.")
    return row


async def page(session: AsyncSession, *, before: UUID | None, limit: int) -> Sequence[Tenant]:
    """Newest first, at most `limit`."""
    query = select(Tenant).order_by(col(Tenant.id).desc()).limit(limit)
    return (await session.exec(query if before is None else query.where(Tenant.id < before))).all()


async def change(session: AsyncSession, actor: Actor, tenant_id: UUID, changes: Mapping[str, Any]) -> Tenant:
    """Set some of CHANGEABLE; what is so already is no change. Raises NotFound, TenantNameTaken."""
    row = await found(session, tenant_id, lock=True)
    before = {name: getattr(row, name) for name in changes}
    changed = {name: value for name, value in changes.items() if before[name] != value}
    if not changed:
        return row
    for name, value in changed.items():
        setattr(row, name, value)
    await _keep(session, row)
    facts: dict[str, Any] = {"before": {name: before[name] for name in changed}, "after": changed}
    await record(session, actor, "tenant.changed", "tenant", str(row.id), tenant_id=row.id, **facts)
    return row


async def suspend(session: AsyncSession, actor: Actor, tenant_id: UUID, note: str) -> Tenant:
    """Refuse the tenant's keys from now on. Repeating changes nothing. Raises NotFound."""
    row = await found(session, tenant_id, lock=True)
    if row.suspended_at is None:
        row.suspended_at = now()
        session.add(row)
        await record(session, actor, "tenant.suspended", "tenant", str(row.id), tenant_id=row.id, note=note)
    return row


async def resume(session: AsyncSession, actor: Actor, tenant_id: UUID, note: str) -> Tenant:
    """Accept the tenant's keys again. Repeating changes nothing. Raises NotFound."""
    row = await found(session, tenant_id, lock=True)
    if row.suspended_at is not None:
        since, row.suspended_at = row.suspended_at, None
        session.add(row)
        await record(
            session, actor, "tenant.resumed", "tenant", str(row.id), tenant_id=row.id, note=note, suspended_at=since
        )
    return row


async def weights(session: AsyncSession, tenant_ids: Collection[UUID]) -> dict[UUID, float]:
    """The shares of these tenants where they wait for each other."""
    if not tenant_ids:
        return {}
    rows = await session.exec(select(Tenant.id, Tenant.tier).where(col(Tenant.id).in_(tenant_ids)))
    return {tenant_id: ALLOWANCES[Tier(tier)].weight for tenant_id, tier in rows.all()}


async def _keep(session: AsyncSession, row: Tenant) -> None:
    """Write the row. Raises TenantNameTaken: the name is all that two tenants can quarrel about."""
    name = row.name
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise TenantNameTaken(f"There is a tenant '{name}'.") from None


def _told(row: Tenant) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CHANGEABLE}
