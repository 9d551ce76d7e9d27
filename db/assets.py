"""The rows of pictures: pending before the object is written, deleted after it is gone."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, bindparam, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import AssetRef
from contracts.statuses import AssetRole, AssetState, Step
from db import transitions
from db.columns import now
from db.models import Asset, Spend
from db.prepared import as_model, run, table_of
from errors import LeaseLost


async def announce(session: AsyncSession, asset: Asset) -> Asset:
    """Make the row of an object that is about to be written; the same key gives the same row, so retries are harmless.

    Raises LeaseLost when the object was taken back meanwhile.
    """
    row = as_model(Asset, (await run(session, _announcing(), asset.model_dump())).mappings().one_or_none())
    if row is None:
        raise LeaseLost
    return row


async def mark(session: AsyncSession, asset_id: UUID, state: AssetState) -> bool:
    """Move an asset on. False when it is in a state that does not lead there."""
    origins = transitions.repeatable(transitions.ASSET, state)
    moved = await run(session, _marking(state, origins), {"asset_id": asset_id, "moment": now()})
    return moved.one_or_none() is not None


async def end(session: AsyncSession, asset_id: UUID) -> bool:
    """deleting -> deleted, once: False when it was deleted before, and told of."""
    statement = _marking(AssetState.deleted, transitions.ASSET[AssetState.deleted])
    return (await run(session, statement, {"asset_id": asset_id, "moment": now()})).one_or_none() is not None


@cache
def _announcing() -> Executable:
    table = table_of(Asset)
    statement = insert(table).values({column.name: bindparam(column.name) for column in table.c})
    return statement.on_conflict_do_update(
        index_elements=["key"],
        set_={"key": statement.excluded.key},
        where=table.c.state.in_([AssetState.pending, AssetState.stored]),
    ).returning(table)


@cache
def _marking(state: AssetState, origins: tuple[AssetState, ...]) -> Executable:
    table = table_of(Asset)
    moment = bindparam("moment", type_=table.c.created_at.type)
    times = {AssetState.stored: {"stored_at": moment}, AssetState.deleted: {"deleted_at": moment}}
    here = [table.c.id == bindparam("asset_id"), table.c.state.in_(origins)]
    return update(table).where(*here).values(state=state, **times.get(state, {})).returning(table.c.id)


async def of_step(session: AsyncSession, generation_id: UUID, step: Step) -> Sequence[Asset]:
    """The assets of a step that are not deleted yet."""
    query = select(Asset).where(
        Asset.generation_id == generation_id, Asset.step == step, Asset.state != AssetState.deleted
    )
    return (await session.exec(query.order_by(col(Asset.id)))).all()


async def raw_of_spend(session: AsyncSession, spend_id: UUID) -> Sequence[Asset]:
    """A purchase's answers that were put into the store, or were to be, and are not deleted."""
    here = [Asset.spend_id == spend_id, Asset.role == AssetRole.raw]
    states = col(Asset.state).in_([AssetState.pending, AssetState.stored])
    return (await session.exec(select(Asset).where(*here, states))).all()


async def partials_of_spend(session: AsyncSession, spend: Spend) -> Sequence[Asset]:
    """The unfinished pictures of a purchase that are not deleted yet."""
    here = [Asset.generation_id == spend.generation_id, Asset.spend_id == spend.id, Asset.role == AssetRole.partial]
    return (await session.exec(select(Asset).where(*here, Asset.state != AssetState.deleted))).all()


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
        col(Asset.role).not_in([AssetRole.raw, AssetRole.partial]),
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
