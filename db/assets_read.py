"""Queries on assets that only the API needs; an asset's life is in db/assets.py."""

from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetRole
from db.models import Asset


async def of_tenant(session: AsyncSession, tenant_id: UUID, asset_id: UUID) -> Asset | None:
    """A picture of the tenant, in whatever state; a provider's unfinished answer is nobody's business."""
    query = select(Asset).where(Asset.id == asset_id, Asset.tenant_id == tenant_id, Asset.role != AssetRole.raw)
    return (await session.exec(query)).first()
