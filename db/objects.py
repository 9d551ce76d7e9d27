"""The rows behind the keys of objects, for the comparison of the store with the tables."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetState
from db.models import Asset

# A picture in one of these states may have an object.
WITH_OBJECT = (AssetState.pending, AssetState.stored, AssetState.deleting)


async def keys_with_rows(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Those of these keys that a picture has which is not deleted."""
    query = select(Asset.key).where(col(Asset.key).in_(keys), col(Asset.state).in_(WITH_OBJECT))
    return set((await session.exec(query)).all())


async def stored_between(
    session: AsyncSession, *, after: str, upto: str | None, before: datetime, limit: int
) -> Sequence[Asset]:
    """Pictures that were stored before then, in the order in which a store lists them: by the bytes of their keys.

    From behind the key `after` to the key `upto`, which counts too (None: to the end).
    """
    key = col(Asset.key)
    query = select(Asset).where(Asset.state == AssetState.stored, col(Asset.stored_at) < before, key > after)
    if upto is not None:
        query = query.where(key <= upto)
    return (await session.exec(query.order_by(key).limit(limit))).all()
