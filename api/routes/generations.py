"""Generations: accept, read, list, cancel."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, Field, StringConstraints

from api import cost_headers, cursors
from api.acceptance import Acceptance, AcceptedAnswer
from api.alternatives import explain
from api.cost_headers import tell_cost
from api.dependencies import GenerateDep, ReadDep, ServicesDep, TransactionDep
from api.generation_answers import GenerationAnswer, GenerationPage
from api.model_warnings import sunset_headers
from api.problems import documented
from api.routes.examples import REQUESTS
from api.services import Services
from api.strict_json import StrictJsonRoute
from api.waiting import preferred_wait
from contracts.frozen import Frozen
from contracts.requests import GenerationRequest, SessionId, Tag, UserId
from contracts.statuses import Kind, Status
from db import generations
from db.models import Generation
from errors import AlreadyFinal, DatabaseUnavailable, InvalidRequest, NotFound

router = APIRouter(prefix="/v1/generations", tags=["generations"], route_class=StrictJsonRoute)

IdempotencyKey = Annotated[
    str | None,
    StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
    Header(description="The same key with the same body repeats the first answer and buys nothing twice."),
]
Prefer = Annotated[str | None, Header(description="`wait=N`: hold the answer up to N (1..60) seconds.")]
# Wide enough for every row there can be; without bounds an offset can push a time out of what a database takes.
Moment = Annotated[AwareDatetime, Field(ge="2020-01-01T00:00:00Z", le="2200-01-01T00:00:00Z")]


class ListQuery(Frozen):
    """Which generations to list, newest first."""

    status: Status | None = None
    kind: Kind | None = None
    session: SessionId | None = None
    user: UserId | None = None
    tag: Tag | None = None
    created_after: Moment | None = Field(default=None, description="With time zone; inclusive.")
    created_before: Moment | None = Field(default=None, description="With time zone; exclusive.")
    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.post(
    "",
    summary="Ask for a picture or a chain of pictures",
    status_code=202,
    response_model=AcceptedAnswer,
    responses={
        200: {
            "model": GenerationAnswer,
            "description": "Ended within the time of `Prefer: wait`",
            "headers": cost_headers.DOCUMENTED,
        },
        202: {"headers": cost_headers.DOCUMENTED},
        **documented(400, 401, 402, 403, 404, 409, 410, 413, 415, 422, 429, 503),
    },
)
async def accept(
    services: ServicesDep,
    caller: GenerateDep,
    connection: Request,
    request: Annotated[GenerationRequest, Body(openapi_examples=REQUESTS)],
    *,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accept a request for pictures. The answer comes at once; the pictures come later."""
    try:
        acceptance = await services.desk.accept(caller, request, idempotency_key)
    except InvalidRequest as refusal:
        explain(refusal, request, services.quoter)
        raise
    headers = {"Location": f"/v1/generations/{acceptance.generation_id}", **sunset_headers(acceptance.body)}
    if acceptance.replayed:
        headers["Idempotent-Replayed"] = "true"
    tell_cost(connection, most_usd=acceptance.most_usd)
    seconds = preferred_wait(prefer)
    if seconds is None:
        answer: Response = JSONResponse(acceptance.body, 202, headers)
    else:
        headers["Preference-Applied"] = f"wait={seconds}"
        answer = await _wait_for_end(services, connection, acceptance, seconds, headers)
    await services.budget_room.tell(connection, caller)
    return answer


async def _wait_for_end(
    services: Services, connection: Request, acceptance: Acceptance, seconds: int, headers: dict[str, str]
) -> Response:
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await services.following.until_final(acceptance.generation_id)
        async with services.database.transaction() as session:
            row = await session.get_one(Generation, acceptance.generation_id)
        help_ = await services.failure_help.help(row)
    except DatabaseUnavailable:  # it was accepted before: a 503 would make the client send it once more
        return JSONResponse(acceptance.body, 202, headers)
    tell_cost(connection, cost_usd=row.cost_usd)
    answer = GenerationAnswer.of(row, help_)
    return JSONResponse(answer.model_dump(mode="json", by_alias=True), 200 if row.status.is_final else 202, headers)


@router.get("", summary="List generations, newest first", responses=documented(401, 422, 503))
async def page(
    caller: ReadDep, session: TransactionDep, response: Response, query: Annotated[ListQuery, Query()]
) -> GenerationPage:
    """List generations, newest first. The `Link` header leads to the next page."""
    wanted = generations.Filter(
        status=query.status,
        kind=query.kind,
        session_id=query.session,
        user_id=query.user,
        tag=query.tag,
        created_after=query.created_after,
        created_before=query.created_before,
        before=cursors.decode(query.cursor) if query.cursor else None,
    )
    rows = await generations.page(session, caller.tenant_id, wanted, limit=query.limit + 1)
    cursor = _next(rows, query.limit)
    if cursor:
        response.headers["Link"] = f'<{_page_path(query, cursor)}>; rel="next"'
    return GenerationPage.of(rows[: query.limit], cursor)


def _next(rows: Sequence[Generation], limit: int) -> str | None:
    return cursors.encode(rows[limit - 1].id) if len(rows) > limit else None


def _page_path(query: ListQuery, cursor: str) -> str:
    given: dict[str, Any] = query.model_dump(mode="json", exclude_none=True)
    return f"{router.prefix}?{urlencode(given | {'cursor': cursor})}"


@router.get(
    "/{generation_id}",
    summary="Read a generation",
    responses={200: {"headers": cost_headers.DOCUMENTED}, **documented(401, 404, 422, 503)},
)
async def read(services: ServicesDep, caller: ReadDep, connection: Request, generation_id: UUID) -> GenerationAnswer:
    """Where a generation stands, and its pictures; after a failure also what can be done about it.

    Answers also while the engine is down.
    """
    async with services.database.statement() as session:
        row = await generations.shown(session, caller.tenant_id, generation_id)
    if row is None:
        raise _nobodys()
    tell_cost(connection, cost_usd=row.cost_usd, most_usd=row.quote_max_usd)
    await services.budget_room.tell(connection, caller)
    return GenerationAnswer.of(row, await services.failure_help.help(row))


@router.post(
    "/{generation_id}/cancel",
    summary="Cancel a generation and take it back",
    status_code=202,
    responses=documented(401, 404, 409, 422, 503),
)
async def cancel(services: ServicesDep, caller: GenerateDep, generation_id: UUID) -> GenerationAnswer:
    """Ask to stop: jobs are canceled at the provider, pictures of this generation are taken back. Repeating is harmless."""
    async with services.database.transaction("generation.cancel") as session:
        row = await _locked(session, caller.tenant_id, generation_id)
        if row.status is not Status.canceled:
            if row.status.is_final:
                raise AlreadyFinal(f"The generation has ended as {row.status}.", status_now=row.status.value)
            await generations.request_cancel(session, row)
            await session.refresh(row)
    if not row.status.is_final:
        services.dispatcher.cancel_soon(row.id, row.run)
    return GenerationAnswer.of(row)


async def _locked(session: TransactionDep, tenant_id: UUID, generation_id: UUID) -> Generation:
    row = await generations.of_tenant(session, tenant_id, generation_id, lock=True)
    if row is None:
        raise _nobodys()
    return row


def _nobodys() -> NotFound:
    return NotFound("There is no such generation.")
