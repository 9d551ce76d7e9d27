"""The rows of pictures that clients bring: some exist a moment before their generation does, uploads belong to none."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetRole, AssetState
from db.columns import now
from db.models import Asset
from errors import ServiceUnavailable


async def attach(session: AsyncSession, asset_id: UUID, generation_id: UUID) -> None:
    """The picture is stored and belongs to this generation: from now on they are undone and deleted as one.

    Raises ServiceUnavailable when it was removed meanwhile, because its acceptance took too long.
    """
    attached = (
        update(Asset)
        .where(col(Asset.id) == asset_id, col(Asset.state) == AssetState.pending)
        .values(generation_id=generation_id, state=AssetState.stored, stored_at=now())
        .returning(col(Asset.id))
    )
    if (await session.exec(attached)).scalar_one_or_none() is None:
        raise ServiceUnavailable


async def abandon(session: AsyncSession, asset_id: UUID) -> bool:
    """The picture is not wanted any more. False when a generation has it after all, so that it must stay."""
    moved = (
        update(Asset)
        .where(
            col(Asset.id) == asset_id,
            col(Asset.generation_id).is_(None),
            col(Asset.state).in_([AssetState.pending, AssetState.deleting]),
        )
        .values(state=AssetState.deleting)
        .returning(col(Asset.id))
    )
    return (await session.exec(moved)).scalar_one_or_none() is not None


async def known_upload(session: AsyncSession, tenant_id: UUID, *, sha256: str, content_type: str) -> Asset | None:
    """What the tenant uploaded before and is stored with these bytes; it counts as uploaded now, and lasts as long."""
    same = select(Asset).where(
        Asset.tenant_id == tenant_id,
        Asset.sha256 == sha256,
        Asset.content_type == content_type,
        Asset.role == AssetRole.input,
        col(Asset.generation_id).is_(None),
        Asset.state == AssetState.stored,
    )
    known = (await session.exec(same.order_by(col(Asset.id)).with_for_update())).first()
    if known is not None:
        known.stored_at = now()
        session.add(known)
    return known


async def keep_upload(session: AsyncSession, asset_id: UUID) -> Asset:
    """pending -> stored. Raises ServiceUnavailable when it was removed meanwhile, because its upload took too long."""
    kept = (
        update(Asset)
        .where(col(Asset.id) == asset_id, col(Asset.state) == AssetState.pending)
        .values(state=AssetState.stored, stored_at=now())
        .returning(Asset)
    )
    asset: Asset | None = (await session.exec(kept)).scalar_one_or_none()
    if asset is None:
        raise ServiceUnavailable
    return asset


async def mark_used(session: AsyncSession, tenant_id: UUID, asset_ids: Collection[UUID]) -> None:
    """A generation that starts from these pictures is being accepted: those that are uploads stay."""
    first_use = select(Asset.id).where(
        Asset.tenant_id == tenant_id,
        col(Asset.id).in_(asset_ids),
        Asset.role == AssetRole.input,
        col(Asset.used_at).is_(None),
    )
    # In one order with others who lock many.
    locked = first_use.order_by(col(Asset.id)).with_for_update()
    await session.exec(update(Asset).where(col(Asset.id).in_(locked)).values(used_at=now()))
