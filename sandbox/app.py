"""The sandbox's composition root."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route

from sandbox.admin import Office, admin_app
from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.delivery import Delivery, delivery_routes
from sandbox.faults import FaultBoard
from sandbox.getimg.parts import GetimgParts
from sandbox.journal import Journal
from sandbox.keys import Keys, load_keys
from sandbox.models import ModelTable, load_models
from sandbox.openai.errors import OpenAIDialect
from sandbox.openai.image_jobs import ImageJobs
from sandbox.openai.images import ImageRoutes
from sandbox.openai.models import ModelRoutes
from sandbox.openai.routes import openai_routes
from sandbox.pictures import Studio
from sandbox.record_log import RecordLog
from sandbox.references import ReferenceStore
from sandbox.replicate.catalog_routes import CatalogRoutes
from sandbox.replicate.errors import ReplicateDialect
from sandbox.replicate.file_routes import FileRoutes
from sandbox.replicate.files import FileShelf
from sandbox.replicate.input_shelf import InputShelf
from sandbox.replicate.intake import Intake
from sandbox.replicate.prediction_book import PredictionBook
from sandbox.replicate.prediction_routes import PredictionRoutes
from sandbox.replicate.production import Production
from sandbox.replicate.rendering import PredictionRenderer
from sandbox.replicate.routes import replicate_routes
from sandbox.settings import Options, Settings
from sandbox.wavespeed.parts import Shared, WaveSpeedParts
from sandbox.webhooks import WebhookSender
from sandbox.wire import Desk


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that lives as long as the process."""

    options: Options
    settings: Settings
    keys: Keys
    models: ModelTable
    log: RecordLog
    clock: SandboxClock
    journal: Journal
    faults: FaultBoard
    ledger: ChargeLedger
    studio: Studio
    references: ReferenceStore
    files: FileShelf
    predictions: PredictionBook
    images: ImageJobs
    production: Production
    renderer: PredictionRenderer
    webhooks: WebhookSender
    getimg: GetimgParts
    wavespeed: WaveSpeedParts

    def start(self) -> None:
        """Bring back what the record log tells, and go on with it."""
        self.log.replay()
        self.production.resume()
        self.webhooks.start()
        self.wavespeed.start()

    async def stop(self) -> None:
        """End all tasks and close all files."""
        await self.webhooks.close()
        await self.wavespeed.stop()
        await self.production.close()
        await self.references.close()
        self.studio.close()
        self.journal.close()
        self.log.close()

    def reset(self) -> None:
        """Forget everything but the settings and the keys."""
        for part in (
            self.getimg,
            self.wavespeed,
            self.webhooks,
            self.predictions,
            self.images,
            self.ledger,
            self.files,
            self.faults,
        ):
            part.erase()
        self.studio.erase()
        self.references.erase()
        self.journal.erase()
        self.log.erase()
        self.clock.reset()


def build_parts(options: Options) -> Parts:
    """Make the parts and wire them."""
    data_dir = options.data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    settings, keys = Settings.of(options), load_keys(data_dir, options.webhook_secret)
    log = RecordLog(data_dir / "state.jsonl")
    clock, faults, ledger = SandboxClock(log), FaultBoard(log), ChargeLedger()
    studio, references = Studio(data_dir / "pictures"), ReferenceStore(data_dir / "inputs")
    files, predictions = FileShelf(data_dir / "files", log, clock), PredictionBook(log, ledger)
    renderer = PredictionRenderer(f"{options.public_url}/replicate", options.public_url, keys)
    return Parts(
        options=options,
        settings=settings,
        keys=keys,
        models=load_models(),
        log=log,
        clock=clock,
        journal=Journal(data_dir / "journal.jsonl"),
        faults=faults,
        ledger=ledger,
        studio=studio,
        references=references,
        files=files,
        predictions=predictions,
        images=ImageJobs(log, ledger, clock),
        production=Production(clock, predictions, studio, references, files),
        renderer=renderer,
        webhooks=WebhookSender(
            clock=clock,
            log=log,
            settings=settings,
            faults=faults,
            keys=keys,
            book=predictions,
            renderer=renderer,
        ),
        getimg=GetimgParts(
            public_url=options.public_url,
            key=options.getimg_key,
            settings=settings,
            keys=keys,
            log=log,
            clock=clock,
            ledger=ledger,
            studio=studio,
            references=references,
        ),
        wavespeed=WaveSpeedParts(
            Shared(
                data_dir=data_dir,
                public_url=options.public_url,
                settings=settings,
                keys=keys,
                log=log,
                clock=clock,
                faults=faults,
                ledger=ledger,
                studio=studio,
                references=references,
            ),
            options.wavespeed_key,
        ),
    )


def create_app(options: Options) -> Starlette:
    """The application: all four providers, the delivery host, the admin's pages and the health check."""
    parts = build_parts(options)
    desk = Desk(parts.clock, parts.faults, parts.journal)
    replicate = ReplicateDialect(parts.settings, options.replicate_token)
    openai = OpenAIDialect(parts.settings, options.openai_key)
    delivery = Delivery(parts.clock, parts.keys, parts.predictions, parts.production, parts.references)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        parts.start()
        try:
            yield
        finally:
            await parts.stop()

    return Starlette(
        routes=[
            *_replicate_routes(parts, desk, replicate),
            *delivery_routes(desk, delivery),
            *openai_routes(desk, openai, _image_routes(parts), ModelRoutes(parts.models)),
            *parts.getimg.routes(desk),
            *parts.wavespeed.routes(desk),
            Mount("/admin", admin_app(_office(parts, replicate, openai))),
            Route("/healthz", _healthz),
        ],
        lifespan=lifespan,
    )


def _replicate_routes(parts: Parts, desk: Desk, dialect: ReplicateDialect) -> Sequence[BaseRoute]:
    api_url = f"{parts.options.public_url}/replicate"
    shelf = InputShelf(parts.references, parts.options.public_url)
    predictions = PredictionRoutes(
        api_url=api_url,
        clock=parts.clock,
        settings=parts.settings,
        intake=Intake(parts.models, parts.settings, shelf.shelve),
        book=parts.predictions,
        production=parts.production,
        renderer=parts.renderer,
    )
    files = FileRoutes(api_url, parts.files, parts.keys)
    return replicate_routes(desk, dialect, predictions, files, CatalogRoutes(parts.models, parts.keys))


def _image_routes(parts: Parts) -> ImageRoutes:
    return ImageRoutes(
        clock=parts.clock,
        settings=parts.settings,
        models=parts.models,
        jobs=parts.images,
        studio=parts.studio,
        references=parts.references,
    )


def _office(parts: Parts, replicate: ReplicateDialect, openai: OpenAIDialect) -> Office:
    return Office(
        clock=parts.clock,
        settings=parts.settings,
        faults=parts.faults,
        journal=parts.journal,
        ledger=parts.ledger,
        predictions=parts.predictions,
        images=parts.images,
        webhooks=parts.webhooks,
        replicate=replicate,
        openai=openai,
        getimg=parts.getimg,
        wavespeed=parts.wavespeed,
        reset=parts.reset,
    )


async def _healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")
