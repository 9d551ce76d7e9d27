"""Pictures that are not to be kept any longer: too old, deleted by their owner, or of a session that nobody uses any more.

A generation that runs, or waits for people, keeps all of its pictures; so do those whose picture another such one starts
from. What a client uploaded belongs to no generation, and goes when none has used it for a while.

How long pictures are kept is the service's setting, or a figure of the tenant's own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, func, or_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.statuses import AssetRole, AssetState, Kind, Status
from db.generations import LIVE
from db.models import Asset, Generation, Tenant

AT_WORK = (*LIVE, Status.needs_review)


async def expired(session: AsyncSession, *, stored_before: datetime, limit: int) -> Sequence[Asset]:
    """Pictures that were stored before then, of the tenants that have no figure of their own."""
    # No `exists`: of so few tenants that the database gathers no statistics it would guess that hardly any has no figure,
    # and read all pictures in order to find theirs.
    has_no_figure = select(col(Tenant.keep_pictures_days).is_(None)).where(Tenant.id == Asset.tenant_id)
    as_usual = has_no_figure.scalar_subquery()
    query = _removable().where(col(Asset.stored_at) < stored_before, as_usual)
    return (await session.exec(query.order_by(col(Asset.stored_at)).limit(limit))).all()


async def expired_by_own_figure(session: AsyncSession, *, at: datetime, limit: int) -> Sequence[Asset]:
    """Pictures of tenants that have theirs kept for so many days and no longer."""
    shortest = (await session.exec(select(func.min(Tenant.keep_pictures_days)))).one()
    if shortest is None:
        return ()
    theirs = (
        select(Tenant.id)
        .where(
            Tenant.id == Asset.tenant_id,
            col(Asset.stored_at) < at - func.make_interval(0, 0, 0, Tenant.keep_pictures_days),
        )
        .exists()
    )
    # The shortest of all lets the index say where to look.
    query = _removable().where(col(Asset.stored_at) < at - timedelta(days=shortest), theirs)
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


async def unused(session: AsyncSession, *, stored_before: datetime, limit: int) -> Sequence[Asset]:
    """Clients' uploads from before then that no generation was ever accepted for."""
    query = _uploads().where(col(Asset.used_at).is_(None), col(Asset.stored_at) < stored_before)
    return (await session.exec(query.order_by(col(Asset.stored_at)).limit(limit))).all()


async def is_unused(session: AsyncSession, asset_id: UUID) -> bool:
    """Whether it is an upload that still nobody has used."""
    query = _uploads().where(col(Asset.used_at).is_(None), Asset.id == asset_id)
    return (await session.exec(query)).first() is not None


async def may_go(session: AsyncSession, asset_id: UUID) -> bool:
    """Whether nobody works with the picture at this moment."""
    return (await session.exec(_removable().where(Asset.id == asset_id))).first() is not None


def _removable() -> SelectOfScalar[Asset]:
    is_upload = col(Asset.generation_id).is_(None) & (col(Asset.role) == AssetRole.input)
    return (
        select(Asset)
        .join(Generation, col(Generation.id) == col(Asset.generation_id), isouter=True)
        .where(
            Asset.state == AssetState.stored,
            or_(col(Generation.status).not_in(AT_WORK), is_upload),
            *_nobody_starts_from_it(),
        )
    )


def _nobody_starts_from_it() -> list[ColumnElement[bool]]:
    """One question for each way to name a picture, as each has an index of its own."""
    reader = aliased(Generation)
    at_work, name = col(reader.status).in_(AT_WORK), cast(Asset.id, Text)
    # By the operator of the index: a subscript, which SQLAlchemy would write, means the same and does not use it.
    several = col(reader.request).op("->", return_type=JSONB)("image_asset_ids")
    ways: list[list[ColumnElement[bool] | bool]] = [
        [reader.request["avatar_asset_id"].astext == name],
        [reader.kind == Kind.enhance, reader.request["image_asset_id"].astext == name],
        [reader.kind == Kind.image, several.contains(func.jsonb_build_array(name))],
    ]
    return [~select(reader.id).where(at_work, *way).exists() for way in ways]


def _uploads() -> SelectOfScalar[Asset]:
    return select(Asset).where(
        Asset.state == AssetState.stored, Asset.role == AssetRole.input, col(Asset.generation_id).is_(None)
    )
