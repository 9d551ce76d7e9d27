"""Sending a failed generation again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse, Response

from api.acceptance import AcceptedAnswer
from api.alternatives import explain
from api.dependencies import GenerateDep, ServicesDep
from api.model_warnings import sunset_headers
from api.problems import documented
from api.retrying import RetryRequest, request_again
from api.routes.generations import IdempotencyKey
from api.strict_json import StrictJsonRoute
from db import generations
from errors import InvalidRequest, NotFound

router = APIRouter(prefix="/v1/generations", tags=["generations"], route_class=StrictJsonRoute)


@router.post(
    "/{generation_id}/retry",
    summary="Send a failed generation's request again",
    status_code=202,
    response_model=AcceptedAnswer,
    responses=documented(400, 401, 402, 403, 404, 409, 410, 413, 415, 422, 429, 503),
)
async def retry(
    services: ServicesDep,
    caller: GenerateDep,
    generation_id: UUID,
    wanted: Annotated[RetryRequest, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Accept the request of a generation that failed or was canceled once more, as a new generation.

    The same retry twice is one new generation, also without an Idempotency-Key: to send it a second time, retry the new
    one, or name a key.
    """
    async with services.database.transaction() as session:
        row = await generations.of_tenant(session, caller.tenant_id, generation_id)
    if row is None:
        raise NotFound("There is no such generation.")
    request = request_again(row, wanted)
    try:
        accepted = await services.desk.accept(caller, request, idempotency_key or wanted.key(row.id))
    except InvalidRequest as refusal:
        explain(refusal, request, services.quoter)
        raise
    headers = {"Location": f"/v1/generations/{accepted.generation_id}", **sunset_headers(accepted.body)}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(accepted.body, 202, headers)
