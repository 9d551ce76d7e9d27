"""API keys of the caller's tenant: made, listed, rotated, revoked."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from api.dependencies import ActorDep, AdminDep, ServicesDep, TransactionDep
from api.key_answers import KeyAnswer, KeyList, KeyRequest, KeyRotation, KeyWithSecret
from api.problems import documented
from api.strict_json import StrictJsonRoute
from db import tenant_keys

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=StrictJsonRoute)

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", examples=["4f1d0c2b9a7e"])]
Ended = Annotated[bool, Query(description="Also the newest hundred that expired or were revoked.")]


@router.post("", summary="Make an API key", status_code=201, responses=documented(400, 401, 409, 413, 415, 422, 503))
async def create(
    services: ServicesDep, caller: AdminDep, actor: ActorDep, request: KeyRequest, response: Response
) -> KeyWithSecret:
    """Make a key. It is shown in this answer and never again.

    Repeating makes another one, also with an `Idempotency-Key`, which is not looked at. When the answer is lost, revoke the
    key that you do not know in the list, and make another.
    """
    made = await services.key_desk.create(caller, actor, request.as_new())
    response.headers["Location"] = f"{router.prefix}/{made.row.id}"
    return KeyWithSecret.made(made)


@router.get("", summary="List API keys", responses=documented(401, 422, 503))
async def listed(caller: AdminDep, session: TransactionDep, *, ended: Ended = False) -> KeyList:
    """The keys of this tenant that are accepted, newest first."""
    return KeyList.of(await tenant_keys.listed(session, caller.tenant_id, ended=ended))


@router.get("/{key_id}", summary="Read an API key", responses=documented(401, 404, 422, 503))
async def read(services: ServicesDep, caller: AdminDep, key_id: KeyId) -> KeyAnswer:
    """One key, without its secret."""
    return KeyAnswer.of(await services.key_desk.read(caller, key_id))


@router.post(
    "/{key_id}/rotate",
    summary="Replace an API key",
    status_code=201,
    responses=documented(400, 401, 404, 409, 413, 415, 422, 503),
)
async def rotate(
    services: ServicesDep, caller: AdminDep, actor: ActorDep, key_id: KeyId, request: KeyRotation
) -> KeyWithSecret:
    """Make a key with the same rights; the old one is accepted for `grace_s` more seconds, and then expires.

    When the answer is lost, ask again within that time: a successor that nobody ever used is revoked, and another made. What
    was used of the key's budgets stays used.
    """
    grace = timedelta(seconds=request.grace_s)
    made = await services.key_desk.rotate(caller, actor, key_id, grace=grace, expires_at=request.expires_at)
    return KeyWithSecret.made(made)


@router.delete("/{key_id}", summary="Revoke an API key", status_code=204, responses=documented(401, 404, 422, 503))
async def revoke(services: ServicesDep, caller: AdminDep, actor: ActorDep, key_id: KeyId) -> Response:
    """Refuse a key: within two seconds everywhere. Repeating is harmless."""
    await services.key_desk.revoke(caller, actor, key_id)
    return Response(status_code=204)
