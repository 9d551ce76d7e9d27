"""Lanes: operators pause, drain and resume providers and models, limit them, and read what happened to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api import cursors
from api.dependencies import ActorDep, OperatorDep, ServicesDep, TransactionDep
from api.problems import documented
from api.services import Services
from api.strict_json import StrictJsonRoute
from contracts.frozen import Frozen
from contracts.lanes import LaneAction, LaneDecision, LaneLimit
from contracts.standing import LaneMode
from db import lanes
from db.lanes import Decision
from db.standing_models import Lane, ProviderEvent

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=StrictJsonRoute)

Provider = Annotated[str, Path(max_length=50, examples=["replicate"])]
# A model's id may have a slash in it.
Model = Annotated[str, Path(max_length=100, examples=["openai/gpt-image-2.5-flare"])]
REFUSALS = documented(400, 401, 403, 404, 413, 415, 422, 503)


class LaneAnswer(Frozen):
    """What an operator decided about a provider, or about one of its models."""

    provider: str
    model: str = Field(description="Empty: the provider as a whole.")
    mode: LaneMode
    creates_per_minute: int | None = Field(description="null: a provider has its configured limit, a model none.")
    note: str
    changed_by: str | None = Field(description="The API key that decided last.")
    changed_at: datetime

    @classmethod
    def of(cls, lane: Lane) -> Self:
        """A lane's row."""
        return cls(**lane.model_dump(exclude={"next_create_at"}))


class LaneList(Frozen):
    """The lanes that an operator ever decided about; all others are active, with their configured limits."""

    items: tuple[LaneAnswer, ...]


class ProviderEventAnswer(Frozen):
    """A breaker changed, or an operator decided."""

    id: UUID
    provider: str
    model: str
    type: str = Field(examples=["breaker.opened"])
    data: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, event: ProviderEvent) -> Self:
        """An event's row."""
        return cls(**event.model_dump())


class ProviderEventPage(Frozen):
    """Events, newest first; `next_cursor` leads to older ones."""

    items: tuple[ProviderEventAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class ProviderEventQuery(Frozen):
    """Which events to list."""

    provider: Annotated[str, Field(max_length=50)] | None = None
    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get("/lanes", summary="List what operators decided about providers", responses=documented(401, 403, 503))
async def listed(_operator: OperatorDep, session: TransactionDep) -> LaneList:
    """The lanes that an operator decided about. How all of them stand is in GET /v1/providers and GET /v1/models."""
    return LaneList(items=tuple(LaneAnswer.of(lane) for lane in await lanes.decided(session)))


@router.put("/lanes/{provider}/limit", summary="Limit a provider", responses=REFUSALS)
async def limit_provider(
    services: ServicesDep, operator: OperatorDep, actor: ActorDep, provider: Provider, limit: LaneLimit
) -> LaneAnswer:
    """Change how many purchases a minute all workers together begin; null: as configured. It holds within five seconds."""
    return await _limited(services, Decision(operator.key_id, provider, "", limit.note, actor), limit)


@router.put("/lanes/{provider}/{model:path}/limit", summary="Limit a model", responses=REFUSALS)
async def limit_model(
    *,
    services: ServicesDep,
    operator: OperatorDep,
    actor: ActorDep,
    provider: Provider,
    model: Model,
    limit: LaneLimit,
) -> LaneAnswer:
    """Change how many purchases of a model all workers together begin in a minute; null: no limit but its provider's."""
    return await _limited(services, Decision(operator.key_id, provider, model, limit.note, actor), limit)


@router.post("/lanes/{provider}/{action}", summary="Pause, drain or resume a provider", responses=REFUSALS)
async def switch_provider(
    *,
    services: ServicesDep,
    operator: OperatorDep,
    actor: ActorDep,
    provider: Provider,
    action: LaneAction,
    decision: LaneDecision,
) -> LaneAnswer:
    """`pause`: nothing is bought. `drain`: only what is planned is still made. `resume`: as usual, and a wait that
    the provider asked for is forgotten.

    It holds over all workers within five seconds. What is at the provider already is finished and kept. Sending the same
    decision again is harmless.
    """
    return await _switched(services, Decision(operator.key_id, provider, "", decision.note, actor), action)


@router.post("/lanes/{provider}/{model:path}/{action}", summary="Pause, drain or resume a model", responses=REFUSALS)
async def switch_model(
    *,
    services: ServicesDep,
    operator: OperatorDep,
    actor: ActorDep,
    provider: Provider,
    model: Model,
    action: LaneAction,
    decision: LaneDecision,
) -> LaneAnswer:
    """The same for one model of a provider. What was decided about the provider holds besides."""
    return await _switched(services, Decision(operator.key_id, provider, model, decision.note, actor), action)


@router.get(
    "/provider-events", summary="List what happened to providers and models", responses=documented(401, 403, 422, 503)
)
async def events(
    _operator: OperatorDep, session: TransactionDep, response: Response, query: Annotated[ProviderEventQuery, Query()]
) -> ProviderEventPage:
    """Breakers that changed and decisions of operators, newest first."""
    before = cursors.decode(query.cursor) if query.cursor else None
    rows = await lanes.events(session, provider=query.provider, before=before, limit=query.limit + 1)
    cursor = cursors.encode(rows[query.limit - 1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = query.model_dump(mode="json", exclude_none=True) | {"cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}/provider-events?{urlencode(given)}>; rel="next"'
    items = tuple(ProviderEventAnswer.of(row) for row in rows[: query.limit])
    return ProviderEventPage(items=items, next_cursor=cursor)


async def _switched(services: Services, decision: Decision, action: LaneAction) -> LaneAnswer:
    async with _deciding(services, decision) as session:
        return LaneAnswer.of(await lanes.set_mode(session, decision, action))


async def _limited(services: Services, decision: Decision, limit: LaneLimit) -> LaneAnswer:
    async with _deciding(services, decision) as session:
        return LaneAnswer.of(await lanes.set_limit(session, decision, limit.creates_per_minute))


@asynccontextmanager
async def _deciding(services: Services, decision: Decision) -> AsyncIterator[AsyncSession]:
    """A transaction for a decision about a lane that there is; afterwards everybody sees it. Raises NotFound."""
    services.providers.check(decision.provider, decision.model)
    async with services.database.transaction("lane.decided") as session:
        yield session
    services.providers.changed()
