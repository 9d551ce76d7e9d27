"""Whether this process lives, whether it can serve, and its figures."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Literal

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies import ServicesDep
from api.services import Services
from contracts.frozen import Frozen
from db.health import ping
from errors import ObjectMissing, StorageUnavailable

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])

PROBE_S = 3.0


class Health(Frozen):
    """This process runs."""

    status: Literal["ok"] = "ok"


class Readiness(Frozen):
    """Which servers answer. Ready without the engine: requests are accepted, and started when it is back."""

    ready: bool
    database: bool
    store: bool
    engine: bool


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is the process alive")
async def healthy() -> Health:
    """Answers as long as the process can."""
    return Health()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can it serve",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready"}},
)
async def ready(services: ServicesDep) -> Response:
    """Whether requests can be accepted and pictures read: database and store must answer; the engine may be away."""
    database, store, engine = await asyncio.gather(
        _answers("database", _ask_database(services)),
        _answers("store", _ask_store(services)),
        _answers("engine", _ask_engine(services)),
    )
    answer = Readiness(ready=database and store, database=database, store=store, engine=engine)
    return JSONResponse(answer.model_dump(), 200 if answer.ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics(services: ServicesDep) -> Response:
    """Figures for Prometheus."""
    await asyncio.gather(services.provider_figures.refresh(), services.budget_gauges.refresh())
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _answers(name: str, question: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            await question
    except Exception as error:  # noqa: BLE001 a probe asks whether it works, and any failure says no
        log.warning("probe.failed", server=name, error=type(error).__name__)
        return False
    return True


async def _ask_database(services: Services) -> None:
    async with services.database.transaction() as session:
        await ping(session)


async def _ask_store(services: Services) -> None:
    if not services.store_preparation.is_done:
        raise StorageUnavailable
    try:
        await services.storage.stat("readiness")
    except ObjectMissing:
        return  # it answered


async def _ask_engine(services: Services) -> None:
    await services.engine.service_client.check_health(timeout=timedelta(seconds=PROBE_S))
