"""Deliveries of webhooks: the log of what was sent, and sending it once more."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from api import cursors
from api.dependencies import GenerateDep, ReadDep, ServicesDep, TransactionDep
from api.problems import documented
from api.webhook_answers import DeliveryAnswer, DeliveryPage, DeliveryWithAttempts
from contracts.frozen import Frozen
from contracts.statuses import DeliveryState
from db import deliveries, webhook_endpoints
from db.webhook_models import Delivery
from engine.starts import DeliveryStart
from errors import NotFound, WebhookEndpointDisabled

router = APIRouter(prefix="/v1", tags=["webhook endpoints"])


class DeliveryQuery(Frozen):
    """Which deliveries to list, newest first."""

    state: DeliveryState | None = None
    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get(
    "/webhook-endpoints/{endpoint_id}/deliveries",
    summary="List an endpoint's deliveries, newest first",
    responses=documented(401, 404, 422, 503),
)
async def page(
    caller: ReadDep,
    session: TransactionDep,
    response: Response,
    endpoint_id: UUID,
    query: Annotated[DeliveryQuery, Query()],
) -> DeliveryPage:
    """List what was sent, or is to be sent, to an endpoint. The `Link` header leads to the next page."""
    if await webhook_endpoints.of_tenant(session, caller.tenant_id, endpoint_id) is None:
        raise NotFound("There is no such webhook endpoint.")
    before = cursors.decode(query.cursor) if query.cursor else None
    rows = await deliveries.page(session, endpoint_id, state=query.state, before=before, limit=query.limit + 1)
    shown = rows[: query.limit]
    cursor = cursors.encode(shown[-1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = query.model_dump(mode="json", exclude_none=True) | {"cursor": cursor}
        path = f"{router.prefix}/webhook-endpoints/{endpoint_id}/deliveries"
        response.headers["Link"] = f'<{path}?{urlencode(given)}>; rel="next"'
    return DeliveryPage(items=tuple(DeliveryAnswer.of(row) for row in shown), next_cursor=cursor)


@router.get(
    "/webhook-deliveries/{delivery_id}",
    summary="Read a delivery and its attempts",
    responses=documented(401, 404, 422, 503),
)
async def read(caller: ReadDep, session: TransactionDep, delivery_id: UUID) -> DeliveryWithAttempts:
    """A delivery, with every attempt: when it was, what was answered, how long it took."""
    row = await _found(session, caller.tenant_id, delivery_id)
    return DeliveryWithAttempts.with_attempts(row, await deliveries.attempts(session, delivery_id))


@router.post(
    "/webhook-deliveries/{delivery_id}/replay",
    summary="Send a webhook once more",
    status_code=202,
    responses=documented(401, 404, 409, 422, 503),
)
async def replay(services: ServicesDep, caller: GenerateDep, delivery_id: UUID) -> DeliveryAnswer:
    """Deliver the event again, under the same webhook-id, with a schedule of its own. Harmless while it is pending."""
    async with services.database.transaction("delivery.replayed") as session:
        row = await _found(session, caller.tenant_id, delivery_id, lock=True)
        endpoint = await webhook_endpoints.of_tenant(session, caller.tenant_id, row.endpoint_id)
        if endpoint is None:
            raise NotFound("The webhook endpoint was deleted.")
        if endpoint.disabled_at is not None:
            raise WebhookEndpointDisabled
        await deliveries.replay(session, row)
    if row.dispatched_at is None:
        services.dispatcher.start_soon(DeliveryStart.of(row))
    return DeliveryAnswer.of(row)


async def _found(session: TransactionDep, tenant_id: UUID, delivery_id: UUID, *, lock: bool = False) -> Delivery:
    row = await deliveries.of_tenant(session, tenant_id, delivery_id, lock=lock)
    if row is None:
        raise NotFound("There is no such delivery.")
    return row
