"""Tenants: operators make, change, suspend and resume them. Every change is kept in the audit log."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from api import cursors
from api.dependencies import ActorDep, OperatorDep, ServicesDep, TransactionDep
from api.key_answers import KeyList, KeyRequest, KeyWithSecret
from api.problems import documented
from api.routes.keys import Ended
from api.strict_json import StrictJsonRoute
from api.tenant_answers import (
    TenantAnswer,
    TenantChange,
    TenantDecision,
    TenantPage,
    TenantQuery,
    TenantRequest,
    TenantWithKey,
)
from db import tenant_keys, tenants

router = APIRouter(prefix="/v1/tenants", tags=["tenants"], route_class=StrictJsonRoute)


@router.post("", summary="Make a tenant", status_code=201, responses=documented(400, 401, 409, 413, 415, 422, 503))
async def create(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, request: TenantRequest, response: Response
) -> TenantWithKey:
    """Make a tenant with an admin key, which makes the tenant's other keys and is shown in this answer alone."""
    row, made = await services.key_desk.create_tenant(actor, request.as_row(), request.first_key())
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    return TenantWithKey(key=KeyWithSecret.made(made), **TenantAnswer.of(row).model_dump())


@router.get("", summary="List tenants", responses=documented(401, 422, 503))
async def page(
    _operator: OperatorDep, session: TransactionDep, response: Response, query: Annotated[TenantQuery, Query()]
) -> TenantPage:
    """All tenants, newest first."""
    before = cursors.decode(query.cursor) if query.cursor else None
    rows = await tenants.page(session, before=before, limit=query.limit + 1)
    cursor = cursors.encode(rows[query.limit - 1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = {"limit": query.limit, "cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}?{urlencode(given)}>; rel="next"'
    return TenantPage(items=tuple(TenantAnswer.of(row) for row in rows[: query.limit]), next_cursor=cursor)


@router.get("/{tenant_id}", summary="Read a tenant", responses=documented(401, 404, 422, 503))
async def read(_operator: OperatorDep, session: TransactionDep, tenant_id: UUID) -> TenantAnswer:
    """One tenant, with the limits that hold for it."""
    return TenantAnswer.of(await tenants.found(session, tenant_id))


@router.patch("/{tenant_id}", summary="Change a tenant", responses=documented(400, 401, 404, 409, 413, 415, 422, 503))
async def change(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, tenant_id: UUID, request: TenantChange
) -> TenantAnswer:
    """Change name, tier, policy, limits or retention. Limits hold within two seconds; what was accepted goes on."""
    async with services.database.transaction("tenant.changed") as session:
        row = await tenants.change(session, actor, tenant_id, request.changes())
    return TenantAnswer.of(row)


@router.post(
    "/{tenant_id}/suspend", summary="Suspend a tenant", responses=documented(400, 401, 404, 413, 415, 422, 503)
)
async def suspend(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, tenant_id: UUID, decision: TenantDecision
) -> TenantAnswer:
    """Refuse the tenant's keys, within two seconds, but those of operators. What was accepted before goes on."""
    async with services.database.transaction("tenant.suspended") as session:
        row = await tenants.suspend(session, actor, tenant_id, decision.note)
    return TenantAnswer.of(row)


@router.post("/{tenant_id}/resume", summary="Resume a tenant", responses=documented(400, 401, 404, 413, 415, 422, 503))
async def resume(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, tenant_id: UUID, decision: TenantDecision
) -> TenantAnswer:
    """Accept the tenant's keys again."""
    async with services.database.transaction("tenant.resumed") as session:
        row = await tenants.resume(session, actor, tenant_id, decision.note)
    return TenantAnswer.of(row)


@router.get("/{tenant_id}/keys", summary="List a tenant's API keys", responses=documented(401, 404, 422, 503))
async def keys(_operator: OperatorDep, session: TransactionDep, tenant_id: UUID, *, ended: Ended = False) -> KeyList:
    """The keys of a tenant that are accepted, newest first. `/v1/keys/{id}` reads, rotates and revokes any of them."""
    await tenants.found(session, tenant_id)
    return KeyList.of(await tenant_keys.listed(session, tenant_id, ended=ended))


@router.post(
    "/{tenant_id}/keys",
    summary="Make an API key for a tenant",
    status_code=201,
    responses=documented(400, 401, 404, 409, 413, 415, 422, 503),
)
async def create_key(
    services: ServicesDep, operator: OperatorDep, actor: ActorDep, tenant_id: UUID, request: KeyRequest
) -> KeyWithSecret:
    """Make a key for a tenant, such as for one that lost all of its admin keys. It is shown in this answer alone."""
    return KeyWithSecret.made(await services.key_desk.create(operator, actor, request.as_new(), tenant_id=tenant_id))
