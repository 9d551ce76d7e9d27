"""The rows of pictures that clients bring: they exist a moment before their generation does."""

from uuid import UUID

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetState
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
