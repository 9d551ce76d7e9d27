"""Sessions: generations that belong together, listed and deleted as one."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from api import cursors
from api.dependencies import GenerateDep, ReadDep, ServicesDep, TransactionDep
from api.links import SessionLinks
from api.problems import documented
from contracts.frozen import Frozen
from contracts.pictures import SessionDeletion
from contracts.requests import SessionId
from contracts.statuses import Status
from db import sessions
from engine.starts import SessionDeletionStart
from errors import NotFound

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class SessionAnswer(Frozen):
    """A session in figures; cost in USD."""

    session_id: str
    counts: dict[Status, int] = Field(description="Generations by status.", examples=[{"succeeded": 3}])
    cost_usd: Decimal
    newest_generation_id: UUID
    first_created_at: datetime
    last_created_at: datetime
    links: SessionLinks

    @classmethod
    def of(cls, found: sessions.SessionSummary) -> Self:
        """A summary as an answer."""
        return cls(
            session_id=found.session_id,
            counts=found.counts,
            cost_usd=found.cost_usd,
            newest_generation_id=found.newest_id,
            first_created_at=found.first_created_at,
            last_created_at=found.last_created_at,
            links=SessionLinks.of(found.session_id),
        )


class SessionPage(Frozen):
    """Sessions, the one with the newest generation first."""

    items: tuple[SessionAnswer, ...]
    next_cursor: str | None


class SessionDeleted(Frozen):
    """What a deletion set in motion."""

    session_id: str
    generations: int = Field(description="Generations that are hidden now.")
    canceled: int = Field(description="Of these, the ones that were still running and were asked to stop.")


class SessionQuery(Frozen):
    """Which page."""

    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get("", summary="List sessions", responses=documented(401, 422, 503))
async def page(
    caller: ReadDep, session: TransactionDep, response: Response, query: Annotated[SessionQuery, Query()]
) -> SessionPage:
    """List sessions, the most recently used first."""
    before = cursors.decode(query.cursor) if query.cursor else None
    found = await sessions.page(session, caller.tenant_id, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    cursor = cursors.encode(shown[-1].newest_id) if len(found) > query.limit else None
    if cursor:
        response.headers["Link"] = f'<{router.prefix}?limit={query.limit}&cursor={cursor}>; rel="next"'
    return SessionPage(items=tuple(SessionAnswer.of(one) for one in shown), next_cursor=cursor)


@router.get("/{session_id}", summary="Read a session", responses=documented(401, 404, 422, 503))
async def read(caller: ReadDep, session: TransactionDep, session_id: SessionId) -> SessionAnswer:
    """One session in figures; its generations are at `links.generations`."""
    found = await sessions.summary(session, caller.tenant_id, session_id)
    if found is None:
        raise NotFound("There is no such session.")
    return SessionAnswer.of(found)


@router.delete(
    "/{session_id}",
    summary="Delete a session and its pictures",
    status_code=202,
    responses=documented(401, 404, 422, 503),
)
async def delete(services: ServicesDep, caller: GenerateDep, session_id: SessionId) -> SessionDeleted:
    """Delete a session: its generations vanish at once, live ones are canceled, pictures are removed soon after."""
    async with services.database.transaction("session.deleted") as session:
        found = await sessions.delete(session, caller.tenant_id, session_id)
    if not found:
        raise NotFound("There is no such session.")
    live = [generation for generation in found if not generation.status.is_final]
    for generation in live:
        services.dispatcher.cancel_soon(generation.id, generation.run)
    deletion = SessionDeletion(tenant_id=caller.tenant_id, session_id=session_id)
    services.dispatcher.start_soon(SessionDeletionStart(deletion))
    return SessionDeleted(session_id=session_id, generations=len(found), canceled=len(live))
