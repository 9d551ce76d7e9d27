"""Queries on assets that only the API needs; an asset's life is in db/assets.py."""

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetRole, AssetState
from db.models import Asset, Generation


async def of_tenant(
    session: AsyncSession, tenant_id: UUID, asset_id: UUID, *, hold: bool = False
) -> tuple[Asset, bool] | None:
    """A picture of the tenant, and whether it can be read: it is stored, and its generation was not deleted.

    None: there is none, it is not stored yet, or it is a provider's unfinished answer, which is nobody's business.
    `hold` keeps it from being deleted until the transaction ends.
    """
    query = (
        select(Asset, Generation.deleted_at)
        .join(Generation, col(Asset.generation_id) == col(Generation.id), isouter=True)
        .where(
            Asset.id == asset_id,
            Asset.tenant_id == tenant_id,
            Asset.role != AssetRole.raw,
            Asset.state != AssetState.pending,
        )
    )
    row = (await session.exec(query.with_for_update(read=True, of=Asset) if hold else query)).first()
    if row is None:
        return None
    asset, generation_deleted_at = row
    return asset, asset.state is AssetState.stored and generation_deleted_at is None
