"""The worker process: settings -> clients -> activities -> Temporal workers, one queue per provider besides the main one."""

import asyncio
import gc
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import structlog
import uvloop
from prometheus_client import REGISTRY
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.delivery import DeliveryActivities
from activities.erasing import ErasureActivities
from activities.generations import GenerationActivities
from activities.pictures import PictureActivities
from activities.planning import Planner
from activities.replanning import FailoverMetrics, ReplanActivities
from activities.sessions import SessionActivities
from activities.undoing import UndoActivities
from activities.webhook_post import WebhookPost
from config import Settings, load_settings
from contracts.names import (
    DELIVERY_QUEUE,
    MAIN_QUEUE,
    SEARCH_ATTRIBUTES,
    provider_queue,
)
from contracts.receipts import Receipts
from contracts.webhook_secrets import WebhookSecrets
from db.engine import Database
from engine.queue_limits import QueueLimits
from engine.runs import Runs
from engine.schedules import ensure_schedule
from engine.worker_versions import WorkerVersions
from errors import ConfigurationError
from fault_points import fault_points
from imaging.moderation import output_check
from logs import configure_logging
from providers.base import ImageProvider
from providers.catalog import Catalog
from public_http.client import PublicHttp
from public_http.places import PublicPlaces
from temporal_client import connect, data_converter, ensure_search_attributes
from worker_parts.health import HealthServer
from worker_parts.making import MakingParts, make_pictures, open_making
from worker_parts.providers import make_providers
from worker_parts.queue_limits import LimitKeeper, limits_kept
from worker_parts.reconciler import make_reconciler
from worker_parts.release import coming_to_its_turn, release_of
from worker_parts.servers import make_runtime
from worker_parts.start import unless_stopped, when_it_answers
from workflows.avatar import Avatar
from workflows.avatar_scene import AvatarScene
from workflows.delete_session import DeleteSession
from workflows.deliver_webhook import DeliverWebhook
from workflows.enhance import Enhance
from workflows.erase import Erase
from workflows.image import Image
from workflows.reconcile import Reconcile
from workflows.scene import Scene
from workflows.take_back import TakeBack

WORKFLOWS: list[type] = [
    Avatar,
    Scene,
    AvatarScene,
    Image,
    Enhance,
    TakeBack,
    DeleteSession,
    Erase,
    DeliverWebhook,
    Reconcile,
]
# Stay a little below what the provider allows, because a queue may burst for a second.
SHARE_OF_LIMIT = 0.9
# Receivers that hang are given 15 s each; what waits behind them waits at the engine, fairly shared among the tenants.
DELIVERIES_AT_ONCE = 100

log = structlog.get_logger(__name__)


def make_workers(
    client: Client, settings: Settings, main_activities: list[Any], pictures: PictureActivities, providers: list[str]
) -> list[Worker]:
    """The main worker, and one per provider whose queue carries the provider's rate limit."""
    grace = timedelta(seconds=settings.worker_grace_s)
    release = release_of(settings.worker_deployment, settings.worker_build_id)
    limits = {name: settings.creates_per_minute(name, otherwise=60) for name in providers}
    main = Worker(
        client,
        task_queue=MAIN_QUEUE,
        workflows=WORKFLOWS,
        activities=main_activities,
        # The import table, the replay tests and a run without a cache keep workflows deterministic; the sandbox
        # costs half of the worker's CPU (14 against 6 ms a workflow, measured).
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=200,
        max_cached_workflows=5000,
        max_concurrent_activities=200,
        max_concurrent_local_activities=200,
        graceful_shutdown_timeout=grace,
        deployment_config=release,
    )
    return [main] + [
        Worker(
            client,
            task_queue=provider_queue(name),
            activities=[pictures.make_picture],
            max_concurrent_activities=settings.worker_pictures_in_flight,
            max_task_queue_activities_per_second=limits[name] / 60 * SHARE_OF_LIMIT,
            graceful_shutdown_timeout=grace,
            deployment_config=release,
        )
        for name in providers
    ]


def make_delivery_worker(client: Client, settings: Settings, deliveries: DeliveryActivities) -> Worker:
    """The worker that posts webhooks, apart from all others, so that receivers that hang hold up nothing else."""
    return Worker(
        client,
        task_queue=DELIVERY_QUEUE,
        activities=[deliveries.deliver],
        max_concurrent_activities=DELIVERIES_AT_ONCE,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_grace_s),
        deployment_config=release_of(settings.worker_deployment, settings.worker_build_id),
    )


def make_deliveries(settings: Settings, stack: AsyncExitStack) -> DeliveryActivities:
    """Wire the deliveries of webhooks; `stack` closes what was opened."""
    reach = fault_points(settings.crash_lab, "worker")
    database = Database(settings.database_url, pool_size=10, application_name="diorama-deliveries", reach=reach)
    stack.push_async_callback(database.close)
    http = PublicHttp(PublicPlaces(settings.private_webhook_hosts))
    stack.push_async_callback(http.close)
    secrets = WebhookSecrets(settings.token_secret.get_secret_value())
    return DeliveryActivities(database=database, post=WebhookPost(http), secrets=secrets)


def make_limit_keeper(
    settings: Settings, stack: AsyncExitStack, limits: QueueLimits, providers: Iterable[str]
) -> LimitKeeper:
    """Wire what brings the operators' limits to the engine; `stack` closes what was opened."""
    database = Database(settings.database_url, pool_size=1, application_name="diorama-limits")
    stack.push_async_callback(database.close)
    return LimitKeeper(database, limits, sorted(providers), share=SHARE_OF_LIMIT)


def make_main(
    settings: Settings, catalog: Catalog, providers: Mapping[str, ImageProvider], runs: Runs, parts: MakingParts
) -> list[Any]:
    """Wire the activities of the main queue: plan, begin, close, undo, delete, reconcile."""
    database, keeper, buyer, waiter = parts.database, parts.keeper, parts.buyer, parts.waiter
    planner = Planner(
        catalog,
        configured=frozenset(providers),
        review_above_usd=settings.review_above_usd,
        board=parts.standing.board,
    )
    generations = GenerationActivities(database=database, planner=planner, heartbeat_s=settings.picture_heartbeat_s)
    replanning = ReplanActivities(database=database, planner=planner, metrics=FailoverMetrics(REGISTRY))
    undoing = UndoActivities(database=database, buyer=buyer, waiter=waiter, keeper=keeper)
    sessions = SessionActivities(database=database, keeper=keeper, keep=timedelta(hours=settings.keep_deleted_hours))
    receipts = Receipts(settings.token_secret.get_secret_value())
    erasing = ErasureActivities(database=database, storage=parts.storage, keeper=keeper, receipts=receipts)
    reconciler = make_reconciler(settings, runs, parts)
    main = [generations.open, generations.close, generations.begun, replanning.replan]
    main += [undoing.undo_picture, sessions.delete_session, erasing.erase, erasing.attest]
    return [*main, reconciler.reconcile]


async def start(
    settings: Settings, stack: AsyncExitStack, catalog: Catalog, providers: dict[str, ImageProvider]
) -> list[Worker]:
    """The Temporal workers, ready to run, as soon as the store and the engine answer; PostgreSQL may come later."""
    runtime = make_runtime(settings)
    converter = data_converter(settings.payload_key_ring)
    looks = output_check(settings.moderate_outputs)

    async def engine() -> Client:
        client = await connect(
            settings.temporal_address, settings.temporal_namespace, converter=converter, runtime=runtime
        )
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        await ensure_schedule(client, settings.reconcile_every_s)
        return client

    client = await when_it_answers("engine", engine)
    if settings.worker_build_id:
        versions = WorkerVersions(client, settings.worker_deployment)
        turn = coming_to_its_turn(versions, settings.worker_build_id, promotes_itself=settings.worker_promotes_itself)
        await stack.enter_async_context(turn)
    parts = await open_making(settings, catalog, providers, stack, looks)
    main, pictures = (
        make_main(settings, catalog, providers, Runs(client), parts),
        make_pictures(settings, catalog, parts),
    )
    await stack.enter_async_context(limits_kept(make_limit_keeper(settings, stack, QueueLimits(client), providers)))
    deliveries = make_delivery_worker(client, settings, make_deliveries(settings, stack))
    return [*make_workers(client, settings, main, pictures, sorted(providers)), deliveries]


async def run(settings: Settings) -> None:
    """Work until a signal says stop; then let running activities end within the grace."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        catalog = Catalog.load(settings.catalog_overrides)
        providers = make_providers(settings, catalog)
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        health = await stack.enter_async_context(HealthServer(settings.worker_health_port))
        workers = await unless_stopped(stop, start(settings, stack, catalog, providers))
        if workers is None:
            return
        running = asyncio.gather(*(worker.run() for worker in workers))
        health.is_ready = True
        log.info("worker.ready", providers=sorted(providers))
        stopped = asyncio.ensure_future(stop.wait())
        ends: list[asyncio.Future[Any]] = [running, stopped]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        health.is_ready = False
        log.info("worker.stopping", grace_s=settings.worker_grace_s)
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await running


def main() -> int:
    """Entry of `python -m worker`; 0 after a clean stop, 2 when the configuration is not usable."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, "worker", vendor_text=settings.log_vendor_text)
        # What is there now stays: a full collection would look through 200,000 objects of it, and nothing else runs for 140 ms (measured).
        gc.freeze()
        uvloop.run(run(settings))
    except ConfigurationError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
