"""Webhook endpoints: where a tenant wants to be told of its generations' ends."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import ActorDep, GenerateDep, ReadDep, ServicesDep, TransactionDep
from api.problems import documented
from api.strict_json import StrictJsonRoute
from api.webhook_answers import (
    NewWebhookEndpoint,
    SecretRotation,
    WebhookEndpointAnswer,
    WebhookEndpointChange,
    WebhookEndpointList,
    WebhookEndpointWithSecret,
)
from contracts.scopes import KeyScope
from contracts.webhook_secrets import OVERLAP
from contracts.webhooks import DisabledReason, WebhookEvent
from db import webhook_endpoints
from db.audit import Actor, record
from db.columns import now
from db.keys import Caller
from db.webhook_models import WebhookEndpoint
from errors import IdempotencyKeyReused, NotFound, WebhookSecretChanged

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhook endpoints"], route_class=StrictJsonRoute)

# How long after a rotation the same request gets the same answer, and with it the secret.
REPEATABLE = timedelta(minutes=10)

IdempotencyKey = Annotated[
    str | None,
    StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
    Header(description="The same key with the same body gives the endpoint that was made first."),
]


@router.post(
    "",
    summary="Add a webhook endpoint",
    status_code=201,
    responses=documented(400, 401, 409, 413, 415, 422, 503),
)
async def create(  # noqa: PLR0917 FastAPI passes parameters by name
    services: ServicesDep,
    caller: GenerateDep,
    actor: ActorDep,
    request: NewWebhookEndpoint,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> WebhookEndpointWithSecret:
    """Add an endpoint. The answer shows its secret, which is not shown again."""
    _check_may_hear(caller, request.events)
    await services.webhook_places.check(request.url)
    new = WebhookEndpoint(
        tenant_id=caller.tenant_id, url=request.url, description=request.description, events=list(request.events)
    )
    if idempotency_key is not None:  # the same key leads to the same row, and so to the same secret
        new.id = uuid5(caller.tenant_id, f"webhook-endpoint/{idempotency_key}")
    async with services.database.transaction("endpoint.created") as session:
        kept = await webhook_endpoints.create(session, new)
        if kept is new:
            await _write_down(session, actor, "created", kept)
    if kept.deleted_at is not None or (kept.url, kept.description, kept.events) != (
        new.url,
        new.description,
        new.events,
    ):
        raise IdempotencyKeyReused
    response.headers["Location"] = f"{router.prefix}/{kept.id}"
    return WebhookEndpointWithSecret.with_secret(kept, services.webhook_secrets.secret(kept.id, kept.secret_version))


@router.get("", summary="List webhook endpoints", responses=documented(401, 503))
async def listed(caller: ReadDep, session: TransactionDep) -> WebhookEndpointList:
    """All endpoints of this tenant, oldest first."""
    rows = await webhook_endpoints.listed(session, caller.tenant_id)
    return WebhookEndpointList(items=tuple(WebhookEndpointAnswer.of(row) for row in rows))


@router.get("/{endpoint_id}", summary="Read a webhook endpoint", responses=documented(401, 404, 422, 503))
async def read(caller: ReadDep, session: TransactionDep, endpoint_id: UUID) -> WebhookEndpointAnswer:
    """One endpoint, without its secret."""
    return WebhookEndpointAnswer.of(await _found(session, caller.tenant_id, endpoint_id))


@router.patch(
    "/{endpoint_id}",
    summary="Change, disable or enable a webhook endpoint",
    responses=documented(400, 401, 404, 413, 415, 422, 503),
)
async def change(
    services: ServicesDep, caller: GenerateDep, actor: ActorDep, endpoint_id: UUID, request: WebhookEndpointChange
) -> WebhookEndpointAnswer:
    """Change an endpoint. What is on its way goes to the new URL; while it is disabled, it fails."""
    if request.url is not None:
        await services.webhook_places.check(request.url)
    async with services.database.transaction("endpoint.changed") as session:
        row = await _found(session, caller.tenant_id, endpoint_id, lock=True)
        _check_may_hear(caller, row.events, request.events or ())
        for name, value in request.model_dump(exclude={"enabled"}, exclude_none=True).items():
            setattr(row, name, list(value) if isinstance(value, tuple) else value)
        if request.enabled is not None:
            _switch(row, enabled=request.enabled)
        session.add(row)
        await _write_down(session, actor, "changed", row)
    return WebhookEndpointAnswer.of(row)


@router.post(
    "/{endpoint_id}/rotate-secret",
    summary="Replace a webhook secret",
    responses=documented(400, 401, 404, 409, 413, 415, 422, 503),
)
async def rotate_secret(
    services: ServicesDep, caller: GenerateDep, actor: ActorDep, endpoint_id: UUID, request: SecretRotation
) -> WebhookEndpointWithSecret:
    """Make a new secret. For 24 hours messages are signed with the replaced one, too. Repeating is harmless."""
    async with services.database.transaction("endpoint.secret_rotated") as session:
        row = await _found(session, caller.tenant_id, endpoint_id, lock=True)
        _check_may_hear(caller, row.events)
        if row.secret_version == request.replaces_version:
            row.secret_version += 1
            row.previous_secret_until = now() + OVERLAP
            session.add(row)
            await _write_down(session, actor, "secret_rotated", row)
        elif not _was_just_replaced(row, request.replaces_version):
            raise WebhookSecretChanged(secret_version=row.secret_version)
    return WebhookEndpointWithSecret.with_secret(row, services.webhook_secrets.secret(row.id, row.secret_version))


@router.delete(
    "/{endpoint_id}", summary="Delete a webhook endpoint", status_code=204, responses=documented(401, 404, 422, 503)
)
async def delete(services: ServicesDep, caller: GenerateDep, actor: ActorDep, endpoint_id: UUID) -> Response:
    """Send nothing there any more; what is on its way fails. Its deliveries can still be read one by one."""
    async with services.database.transaction("endpoint.deleted") as session:
        row = await _found(session, caller.tenant_id, endpoint_id, lock=True)
        _check_may_hear(caller, row.events)
        row.deleted_at = now()
        session.add(row)
        await _write_down(session, actor, "deleted", row)
    return Response(status_code=204)


def _check_may_hear(caller: Caller, *lists: Iterable[str]) -> None:
    """Raises ScopeMissing: of money those are told who decide about it; nor may others touch such an endpoint."""
    if any(WebhookEvent.budget_alert in events for events in lists):
        caller.check(KeyScope.admin)


async def _write_down(session: AsyncSession, actor: Actor, done: str, row: WebhookEndpoint) -> None:
    """In the audit log, with the host that it leads to: what else is in a URL may be a secret."""
    about = ("webhook_endpoint", str(row.id))
    facts: dict[str, Any] = {
        "host": urlsplit(row.url).hostname,
        "events": row.events,
        "enabled": row.disabled_at is None,
    }
    await record(session, actor, f"webhook_endpoint.{done}", *about, tenant_id=row.tenant_id, **facts)


def _switch(row: WebhookEndpoint, *, enabled: bool) -> None:
    if enabled:
        row.disabled_at = row.disabled_reason = None
    elif row.disabled_at is None:
        row.disabled_at, row.disabled_reason = now(), DisabledReason.by_tenant


def _was_just_replaced(row: WebhookEndpoint, version: int) -> bool:
    """Whether this is the same request once more, because its answer was lost."""
    until = row.previous_secret_until
    return row.secret_version == version + 1 and until is not None and now() < until - OVERLAP + REPEATABLE


async def _found(session: TransactionDep, tenant_id: UUID, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
    row = await webhook_endpoints.of_tenant(session, tenant_id, endpoint_id, lock=lock)
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return row
