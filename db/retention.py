"""Pictures that are not to be kept any longer: too old, deleted by their owner, or of a session that nobody uses any more.

A generation that runs, waits for people, or whose picture another one starts from, keeps all of its pictures.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, and_, cast, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.statuses import AssetState, Status
from db.generations import LIVE
from db.models import Asset, Generation

AT_WORK = (*LIVE, Status.needs_review)


async def expired(session: AsyncSession, *, stored_before: datetime, limit: int) -> Sequence[Asset]:
    """Pictures that were stored before then."""
    query = _removable().where(col(Asset.stored_at) < stored_before)
    return (await session.exec(query.order_by(col(Asset.stored_at)).limit(limit))).all()


async def deleted(session: AsyncSession, *, deleted_before: datetime, limit: int) -> Sequence[Asset]:
    """Pictures of generations that their owner deleted before then."""
    query = _removable().where(col(Generation.deleted_at) < deleted_before)
    return (await session.exec(query.order_by(col(Asset.id)).limit(limit))).all()


async def abandoned(session: AsyncSession, *, newest_before: datetime, limit: int) -> Sequence[Asset]:
    """Pictures of sessions whose newest generation was asked for before then."""
    other = aliased(Generation)
    in_use = (
        select(other.id)
        .where(
            other.tenant_id == Generation.tenant_id,
            other.session_id == Generation.session_id,
            or_(col(other.created_at) >= newest_before, col(other.status).in_(AT_WORK)),
        )
        .exists()
    )
    query = _removable().where(col(Generation.session_id).is_not(None), Generation.created_at < newest_before, ~in_use)
    return (await session.exec(query.order_by(col(Asset.id)).limit(limit))).all()


async def may_go(session: AsyncSession, asset_id: UUID) -> bool:
    """Whether nobody works with the picture at this moment."""
    return (await session.exec(_removable().where(Asset.id == asset_id))).first() is not None


def _removable() -> SelectOfScalar[Asset]:
    reader = aliased(Generation)
    starts_from_it = and_(
        col(reader.status).in_(AT_WORK),
        reader.request["avatar_asset_id"].astext == cast(Asset.id, Text),
    )
    return (
        select(Asset)
        .join(Generation, col(Generation.id) == col(Asset.generation_id))
        .where(
            Asset.state == AssetState.stored,
            col(Generation.status).not_in(AT_WORK),
            ~select(reader.id).where(starts_from_it).exists(),
        )
    )
