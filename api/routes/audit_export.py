"""The audit log as a file, with the hashes that prove later that nothing was changed in it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.dependencies import ActorDep, OperatorDep, ServicesDep
from api.key_answers import Moment
from api.problems import documented
from contracts.frozen import Frozen
from db import audit, audit_export
from db.columns import now
from db.engine import Database
from errors import InvalidRequest

router = APIRouter(prefix="/v1/audit/export", tags=["audit"])

MEDIA_TYPE = "application/x-ndjson"
LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "One JSON object a line."}
}


class ExportQuery(Frozen):
    """Which time. Its end should lie a minute back, when all that was decided before it is written down."""

    created_after: Moment | None = Field(
        default=None, description="Entries of this time and later; none: from the first."
    )
    created_before: Moment | None = Field(default=None, description="Entries before this time; none: up to now.")


@router.get(
    "",
    summary="Export the audit log",
    responses={**LINES, **documented(401, 403, 422, 503)},
    response_class=StreamingResponse,
)
async def export(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, query: Annotated[ExportQuery, Query()]
) -> StreamingResponse:
    """All decisions of a time, over all tenants, oldest first, one a line.

    Each line has a hash over itself and all lines before it; the last line has the hash to keep. The same time exported again
    has the same hashes, unless somebody changed something. An export without a last line was cut off.
    """
    until = query.created_before or now()
    if query.created_after is not None and query.created_after >= until:  # an empty file would look like an empty log
        raise InvalidRequest(
            "created_after must come before created_before, and lie in the past.", field="created_after"
        )
    async with services.database.transaction("audit.exported") as session:
        facts: dict[str, Any] = {"created_after": query.created_after, "created_before": until}
        await audit.record(session, actor, "audit.exported", "service", **facts)
    return StreamingResponse(_lines(services.database, query, until=until), media_type=MEDIA_TYPE)


async def _lines(database: Database, query: ExportQuery, *, until: datetime) -> AsyncIterator[str]:
    async with aclosing(audit_export.lines(database, since=query.created_after, until=until)) as found:
        async for line in found:
            yield line + "\n"
