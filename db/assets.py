"""The rows of pictures: pending before the object is written, deleted after it is gone."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import AssetRef
from contracts.statuses import AssetRole, AssetState, Step
from db.models import Asset, now
from errors import LeaseLost

COMES_FROM: dict[AssetState, tuple[AssetState, ...]] = {
    AssetState.stored: (AssetState.pending, AssetState.stored),
    AssetState.deleting: (AssetState.pending, AssetState.stored, AssetState.deleting),
    AssetState.deleted: (AssetState.deleting, AssetState.deleted),
}


async def announce(session: AsyncSession, asset: Asset) -> Asset:
    """Make the row of an object that is about to be written; the same key gives the same row, so retries are harmless.

    Raises LeaseLost when the object was taken back meanwhile.
    """
    statement = insert(Asset).values(asset.model_dump())
    made = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={"key": statement.excluded.key},
        where=col(Asset.state).in_([AssetState.pending, AssetState.stored]),
    ).returning(Asset)
    row: Asset | None = (await session.exec(made)).scalar_one_or_none()
    if row is None:
        raise LeaseLost
    return row


async def mark(session: AsyncSession, asset_id: UUID, state: AssetState) -> bool:
    """Move an asset on. False when it is in a state that does not lead there."""
    times: dict[AssetState, dict[str, Any]] = {
        AssetState.stored: {"stored_at": now()},
        AssetState.deleted: {"deleted_at": now()},
    }
    moved = (
        update(Asset)
        .where(col(Asset.id) == asset_id, col(Asset.state).in_(COMES_FROM[state]))
        .values(state=state, **times.get(state, {}))
        .returning(col(Asset.id))
    )
    return (await session.exec(moved)).scalar_one_or_none() is not None


async def of_step(session: AsyncSession, generation_id: UUID, step: Step) -> Sequence[Asset]:
    """The assets of a step that are not deleted yet."""
    query = select(Asset).where(
        Asset.generation_id == generation_id, Asset.step == step, Asset.state != AssetState.deleted
    )
    return (await session.exec(query.order_by(col(Asset.id)))).all()


async def of_session(session: AsyncSession, generation_ids: Sequence[UUID]) -> Sequence[Asset]:
    """The assets of these generations that are not deleted yet."""
    query = select(Asset).where(col(Asset.generation_id).in_(generation_ids), Asset.state != AssetState.deleted)
    return (await session.exec(query.order_by(col(Asset.id)))).all()


async def stored(session: AsyncSession, tenant_id: UUID, asset_id: UUID) -> Asset | None:
    """A picture of the tenant that is there and finished."""
    query = select(Asset).where(
        Asset.id == asset_id,
        Asset.tenant_id == tenant_id,
        Asset.state == AssetState.stored,
        Asset.role != AssetRole.raw,
    )
    return (await session.exec(query)).first()


def reference(asset: Asset) -> AssetRef:
    """The asset as it is passed between processes."""
    return AssetRef(
        asset_id=asset.id,
        key=asset.key,
        sha256=asset.sha256,
        size_bytes=asset.size_bytes,
        content_type=asset.content_type,
        width=asset.width,
        height=asset.height,
    )
