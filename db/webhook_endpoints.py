"""Queries on webhook endpoints: where tenants want to be told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import DeliveryState
from contracts.webhooks import MOST_ENDPOINTS, DisabledReason
from db.columns import now
from db.models import Tenant
from db.webhook_models import Delivery, WebhookEndpoint
from errors import TooManyWebhookEndpoints

# A receiver that took nothing for so long, and let a whole schedule pass, is not coming back by itself.
PATIENCE = timedelta(days=5)


async def create(session: AsyncSession, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Keep a new endpoint; one that is there under this id is returned as it is. Raises TooManyWebhookEndpoints."""
    # Whoever creates holds the tenant's row, so that two at once cannot both be the last one; accepting goes on meanwhile.
    await session.exec(select(Tenant.id).where(Tenant.id == endpoint.tenant_id).with_for_update(key_share=True))
    known = await session.get(WebhookEndpoint, endpoint.id)
    if known is not None:
        return known
    counted = select(func.count()).where(
        WebhookEndpoint.tenant_id == endpoint.tenant_id, col(WebhookEndpoint.deleted_at).is_(None)
    )
    if (await session.exec(counted)).one() >= MOST_ENDPOINTS:
        raise TooManyWebhookEndpoints(most=MOST_ENDPOINTS)
    await session.exec(insert(WebhookEndpoint).values(endpoint.model_dump()))
    return endpoint


async def listed(session: AsyncSession, tenant_id: UUID) -> Sequence[WebhookEndpoint]:
    """All endpoints of a tenant, oldest first; there are few."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.tenant_id == tenant_id, col(WebhookEndpoint.deleted_at).is_(None)
    )
    return (await session.exec(query.order_by(col(WebhookEndpoint.created_at), col(WebhookEndpoint.id)))).all()


async def of_tenant(
    session: AsyncSession, tenant_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint | None:
    """An endpoint, if it belongs to the tenant and is not deleted; `lock` keeps others from changing it meanwhile."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id,
        WebhookEndpoint.tenant_id == tenant_id,
        col(WebhookEndpoint.deleted_at).is_(None),
    )
    return (await session.exec(query.with_for_update(key_share=True) if lock else query)).first()


async def disable(session: AsyncSession, endpoint_id: UUID, reason: DisabledReason) -> None:
    """Send nothing there any more; an endpoint that is disabled keeps its reason."""
    await session.exec(
        update(WebhookEndpoint)
        .where(col(WebhookEndpoint.id) == endpoint_id, col(WebhookEndpoint.disabled_at).is_(None))
        .values(disabled_at=now(), disabled_reason=reason)
    )


async def has_failed_for_long(session: AsyncSession, endpoint: WebhookEndpoint) -> bool:
    """Whether nothing has arrived there for PATIENCE; False for an endpoint that is younger."""
    since: datetime = now() - PATIENCE
    if endpoint.created_at > since:
        return False
    arrived = select(Delivery.id).where(
        Delivery.endpoint_id == endpoint.id,
        Delivery.state == DeliveryState.delivered,
        col(Delivery.ended_at) > since,
    )
    return (await session.exec(arrived.limit(1))).first() is None
