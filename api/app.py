"""The API's composition root: settings in, an ASGI application out. Nothing connects before the lifespan begins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from api import problems
from api.acceptance import Desk
from api.authentication import Authenticator
from api.delivery_starter import DeliveryStarter
from api.dispatcher import Dispatcher
from api.failure_help import FailureAdvisor
from api.following import Following
from api.input_pictures import InputPictures
from api.metrics import Metrics
from api.observation import Observation
from api.provider_figures import ProviderFigures
from api.provider_listing import ProviderListing
from api.provider_webhooks import WebhookVerifier, make_verifiers
from api.queue_depth import QueueDepth
from api.quotes import Quoter
from api.reviewing import Reviewer
from api.routes import (
    assets,
    docs,
    generation_events,
    generation_retry,
    generations,
    health,
    lanes,
    openai_images,
    operations,
    providers,
    reviews,
    sessions,
    themes,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
)
from api.safe_fetch import SafeFetcher
from api.services import Services
from api.standing_view import StandingView
from api.store_preparation import StorePreparation
from api.suggesting import Suggester
from api.upload_reading import UploadReader
from config import Settings
from contracts.names import CHANNEL_DELIVERY, CHANNEL_ENDED, CHANNEL_EVENT
from contracts.webhook_secrets import WebhookSecrets
from db.engine import IMPATIENT, Database
from db.listener import Listener
from fault_points import fault_points
from prompts.library import PromptLibrary
from prompts.rewriting import Rewriter
from prompts.themes import Themes
from providers.catalog import Catalog
from providers.openai_rewriting import OpenAIRewriter
from public_http.places import PublicPlaces
from storage.base import ObjectStorage
from storage.minio_storage import MinioStorage
from storage.with_fault_points import StorageWithFaultPoints
from temporal_client import connect

ROUTERS = (
    generations.router,
    generation_events.router,
    generation_retry.router,
    openai_images.router,
    assets.router,
    sessions.router,
    themes.router,
    providers.router,
    operations.router,
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

# Clients are told soon that the store is away; the worker has more patience.
STORE_SILENCE_S = 3
STORE_PUT_S = 6

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
    settings: Settings, *, stopping: asyncio.Event | None = None, storage: ObjectStorage | None = None
) -> FastAPI:
    """The application.

    Set `stopping` to end all event streams, so that a shutdown need not wait for them. `storage` takes the place of the
    store in the settings. Raises ConfigurationError.
    """
    parts = _Parts(
        metrics=Metrics(),
        stopping=stopping or asyncio.Event(),
        storage=storage or _storage(settings),
        themes=PromptLibrary.load().themes,
        quoter=_quoter(settings),
        with_jobs=frozenset(
            provider.name for provider in Catalog.load(settings.catalog_overrides).providers if not provider.synchronous
        ),
        webhook_verifiers=_webhook_verifiers(settings),
    )
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
    app.add_middleware(Observation, metrics=parts.metrics)
    for router in ROUTERS:
        app.include_router(router)
    docs.serve_files(app)
    return app


@dataclass(frozen=True, slots=True)
class _Parts:
    """What needs no server to be built, so that a wrong setting is found before anything starts."""

    metrics: Metrics
    stopping: asyncio.Event
    storage: ObjectStorage
    themes: Themes
    quoter: Quoter
    with_jobs: frozenset[str]
    webhook_verifiers: dict[str, WebhookVerifier]


def _lifespan(settings: Settings, parts: _Parts) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            yield {"services": await _build(settings, parts, stack)}

    return lifespan


async def _build(settings: Settings, parts: _Parts, stack: AsyncExitStack) -> Services:
    """All objects of this process; `stack` ends them in reverse order."""
    metrics, storage = parts.metrics, parts.storage
    reach = fault_points(settings.crash_lab, "api")
    database = Database(settings.database_url, application_name="diorama-api", patience=IMPATIENT, reach=reach)
    stack.push_async_callback(database.close)
    stack.push_async_callback(storage.close)
    preparation = StorePreparation(storage)
    await stack.enter_async_context(preparation.running())
    fetcher = SafeFetcher(settings.private_image_hosts)
    stack.push_async_callback(fetcher.close)
    listener = Listener(settings.database_url, (CHANNEL_EVENT, CHANNEL_ENDED, CHANNEL_DELIVERY))
    await stack.enter_async_context(listener.listening())
    engine = await connect(settings.temporal_address, settings.temporal_namespace, lazy=True)
    kept_deleted = timedelta(hours=settings.keep_deleted_hours)
    dispatcher = Dispatcher(engine, database, metrics, keep_deleted=kept_deleted, reach=reach)
    await stack.enter_async_context(dispatcher.running())
    await stack.enter_async_context(DeliveryStarter(database, listener, dispatcher).running())
    input_pictures = InputPictures(database=database, storage=storage, fetcher=fetcher)
    desk = Desk(
        database=database,
        quoter=parts.quoter,
        themes=parts.themes,
        input_pictures=input_pictures,
        queue_depth=QueueDepth(),
        dispatcher=dispatcher,
    )
    view = StandingView(database)
    figures = ProviderFigures(database=database, view=view, lanes_here=_lanes(settings), registry=metrics.registry)
    stack.enter_context(figures.shown())
    return Services(
        database=database,
        storage=storage,
        store_preparation=preparation,
        engine=engine,
        themes=parts.themes,
        authenticator=Authenticator(database, settings.api_key_pepper.get_secret_value()),
        desk=desk,
        input_pictures=input_pictures,
        upload_reader=UploadReader(),
        quoter=parts.quoter,
        failure_help=FailureAdvisor(database=database, quoter=parts.quoter, suggester=_suggester(settings, stack)),
        reviewer=Reviewer(database=database, dispatcher=dispatcher, with_jobs=parts.with_jobs),
        providers=_providers(settings, view),
        provider_figures=figures,
        dispatcher=dispatcher,
        following=Following(database=database, listener=listener, metrics=metrics, stopping=parts.stopping),
        metrics=metrics,
        webhook_verifiers=parts.webhook_verifiers,
        webhook_places=PublicPlaces(settings.private_webhook_hosts),
        webhook_secrets=WebhookSecrets(settings.token_secret.get_secret_value()),
    )


def _quoter(settings: Settings) -> Quoter:
    catalog = Catalog.load(settings.catalog_overrides)
    return Quoter(catalog, configured=settings.providers, review_above_usd=settings.review_above_usd)


def _suggester(settings: Settings, stack: AsyncExitStack) -> Suggester:
    rules = Rewriter.load()
    if settings.rewrite_model is None or settings.openai_api_key is None:
        return Suggester(rules)
    model = OpenAIRewriter(key=settings.openai_api_key, model=settings.rewrite_model, base_url=settings.openai_base_url)
    stack.push_async_callback(model.close)
    return Suggester(rules, model)


def _lanes(settings: Settings) -> list[tuple[str, str]]:
    """The providers with a key here, and their models."""
    here = [one for one in Catalog.load(settings.catalog_overrides).models if one.provider in settings.providers]
    return [*((name, "") for name in sorted(settings.providers)), *((one.provider, one.model) for one in here)]


def _providers(settings: Settings, view: StandingView) -> ProviderListing:
    catalog = Catalog.load(settings.catalog_overrides)
    return ProviderListing(
        catalog=catalog,
        configured=settings.providers,
        limits={
            one.name: settings.creates_per_minute(one.name, otherwise=one.creates_per_minute)
            for one in catalog.providers
        },
        view=view,
    )


def _storage(settings: Settings) -> ObjectStorage:
    storage = MinioStorage(
        endpoint=settings.store_endpoint,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key.get_secret_value(),
        bucket=settings.store_bucket,
        public_url=settings.store_public_url,
        silence_s=STORE_SILENCE_S,
        put_s=STORE_PUT_S,
    )
    if settings.crash_lab is None:
        return storage
    return StorageWithFaultPoints(storage, fault_points(settings.crash_lab, "api"))


def _webhook_verifiers(settings: Settings) -> dict[str, WebhookVerifier]:
    return make_verifiers(
        {"replicate": settings.replicate_webhook_secret, "wavespeed": settings.wavespeed_webhook_secret}
    )
