"""The API's composition root: settings in, an ASGI application out. Nothing connects before the lifespan begins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from api import problems
from api.assembly import assemble
from api.body_patience import BodyPatience
from api.cross_origin import allow_pages
from api.observation import Observation
from api.parts import Parts
from api.routes import (
    assets,
    audit,
    audit_export,
    bills,
    budget_alerts,
    budgets,
    credentials,
    docs,
    erasures,
    generation_events,
    generation_retry,
    generations,
    health,
    keys,
    lanes,
    openai_images,
    operations,
    providers,
    quotes,
    reviews,
    sessions,
    tenants,
    themes,
    usage,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
)
from api.security_headers import SecurityHeaders
from config import Settings
from db.engine import IMPATIENT, DatabasePatience
from storage.base import ObjectStorage

ROUTERS = (
    generations.router,
    generation_events.router,
    generation_retry.router,
    quotes.router,
    budgets.router,
    budget_alerts.router,
    usage.router,
    openai_images.router,
    assets.router,
    sessions.router,
    erasures.router,
    keys.router,
    tenants.router,
    credentials.router,
    audit_export.router,
    audit.router,
    themes.router,
    providers.router,
    operations.router,
    bills.router,
    reviews.router,
    lanes.router,
    webhooks.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    health.router,
    docs.router,
)
DESCRIPTION = (
    "Ask for a picture, or a chain of pictures, and follow it to its end. "
    "Every accepted request ends in a state that accounts for everything."
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]]


class DioramaApi(FastAPI):
    """FastAPI, with the problem document among the schemas: all routes refer to it."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas["Problem"] = schema
        return document


def create_app(
    settings: Settings,
    *,
    stopping: asyncio.Event | None = None,
    storage: ObjectStorage | None = None,
    patience: DatabasePatience = IMPATIENT,
) -> FastAPI:
    """The application.

    Set `stopping` to end all event streams, so that a shutdown need not wait for them. `storage` takes the place of the
    store in the settings. `patience`: how long PostgreSQL may take until requests are answered 503; reports have their own.
    Raises ConfigurationError.
    """
    parts = Parts.of(settings, stopping=stopping, storage=storage, patience=patience)
    app = DioramaApi(
        title="Diorama",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(settings, parts),
        redirect_slashes=False,
        docs_url=None,  # our own pages, see api/routes/docs.py
        redoc_url=None,
        # a fifth of the throughput, measured; our own log line and figures say the same
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    problems.install(app)
    app.add_middleware(BodyPatience)
    app.add_middleware(Observation, metrics=parts.metrics)
    allow_pages(app, settings.page_origins)
    app.add_middleware(SecurityHeaders, hsts_days=settings.hsts_days)  # the outermost, for it is the last
    for router in ROUTERS:
        app.include_router(router)
    docs.serve_files(app)
    return app


def _lifespan(settings: Settings, parts: Parts) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            yield {"services": await assemble(settings, parts, stack)}

    return lifespan
