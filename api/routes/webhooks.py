"""Webhooks of providers. They are a hint to look, never news to believe: the worker asks the provider itself."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.dependencies import ServicesDep
from api.problems import documented
from api.strict_json import read_bounded
from db import spend_lookup
from db.operation_models import Notice
from errors import NotFound

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

MAX_BYTES = 1_000_000  # a job with its logs; pictures come by URL
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@router.post(
    "/{provider}/{token}",
    summary="A provider tells that a job moved on",
    status_code=204,
    responses=documented(401, 404, 413, 422, 503),
)
async def receive(services: ServicesDep, request: Request, provider: str, token: Token) -> Response:
    """A provider says that a job has news. Signed in its own way, at most five minutes old; repeating is harmless."""
    verifier = services.webhook_verifiers.get(provider)
    if verifier is None:
        raise NotFound("No webhooks are expected from this provider.")
    body = await read_bounded(request, MAX_BYTES)
    verifier.verify(body, request.headers)
    notice = Notice(id=request.headers["webhook-id"], provider=provider, token=token, job_id=_job_id(body))
    async with services.database.statement("notice.received") as session:
        if not await spend_lookup.receive(session, notice):
            raise NotFound("No purchase has this token.")
    return Response(status_code=204)


def _job_id(body: bytes) -> str | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    found = told.get("id") if isinstance(told, dict) else None
    return (
        found if isinstance(found, str) and 0 < len(found) <= 100 and found.isascii() and found.isprintable() else None
    )
