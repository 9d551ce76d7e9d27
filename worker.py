"""The worker process: settings -> clients -> activities -> Temporal workers, one queue per provider besides the main one."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import structlog
import uvloop
from prometheus_client import REGISTRY
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.buying import Buyer, BuyingRules
from activities.generations import GenerationActivities
from activities.keeping import Keeper, KeepingRules
from activities.observation import PictureMetrics
from activities.pictures import PictureActivities
from activities.sessions import SessionActivities
from activities.undoing import UndoActivities
from activities.waiting import Waiter, WaitingRules
from config import Settings, load_settings
from contracts.names import CHANNEL_CANCEL, CHANNEL_WAKE, MAIN_QUEUE, SEARCH_ATTRIBUTES, provider_queue
from db.engine import Database
from db.listener import Listener
from errors import ConfigurationError
from fault_points import fault_points
from logs import configure_logging
from prompts.library import PromptLibrary
from providers.base import ImageProvider
from providers.catalog import Catalog
from providers.openai_images import OpenAIImagesProvider
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.with_fault_points import ProviderWithFaultPoints
from storage.base import ObjectStorage
from storage.minio_storage import MinioStorage
from storage.with_fault_points import StorageWithFaultPoints
from temporal_client import connect, ensure_search_attributes
from worker_health import HealthServer
from workflows.avatar import Avatar
from workflows.avatar_scene import AvatarScene
from workflows.delete_session import DeleteSession
from workflows.scene import Scene

WORKFLOWS: list[type] = [Avatar, Scene, AvatarScene, DeleteSession]
# Stay a little below what the provider allows, because a queue may burst for a second.
SHARE_OF_LIMIT = 0.9

log = structlog.get_logger(__name__)


def make_providers(settings: Settings, catalog: Catalog) -> dict[str, ImageProvider]:
    """The providers that have a key here, by name."""
    providers: dict[str, ImageProvider] = {}
    if settings.replicate_api_token:
        providers["replicate"] = ReplicateProvider(
            base_url=settings.replicate_base_url,
            token=settings.replicate_api_token,
            catalog=catalog,
            reads=ReadQuota(settings.replicate_reads_per_minute),
            submit_timeout_s=settings.replicate_submit_timeout_s,
        )
    if settings.openai_api_key:
        providers["openai"] = OpenAIImagesProvider(
            base_url=settings.openai_base_url,
            key=settings.openai_api_key,
            catalog=catalog,
        )
    if not providers:
        raise ConfigurationError(
            "no image provider has a key: set DIORAMA_REPLICATE_API_TOKEN or DIORAMA_OPENAI_API_KEY"
        )
    if settings.crash_lab is None:
        return providers
    reach = fault_points(settings.crash_lab, "worker")
    return {name: ProviderWithFaultPoints(provider, reach) for name, provider in providers.items()}


def make_workers(
    client: Client, settings: Settings, main_activities: list[Any], pictures: PictureActivities, providers: list[str]
) -> list[Worker]:
    """The main worker, and one per provider whose queue carries the provider's rate limit."""
    grace = timedelta(seconds=settings.worker_grace_s)
    limits = {"replicate": settings.replicate_creates_per_minute, "openai": settings.openai_creates_per_minute}
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
    )
    return [main] + [
        Worker(
            client,
            task_queue=provider_queue(name),
            activities=[pictures.make_picture],
            max_concurrent_activities=settings.worker_pictures_in_flight,
            max_task_queue_activities_per_second=limits[name] / 60 * SHARE_OF_LIMIT,
            graceful_shutdown_timeout=grace,
        )
        for name in providers
    ]


def make_runtime(settings: Settings) -> Runtime:
    """Temporal's own metrics, for Prometheus, when a port for them is set."""
    port = settings.worker_engine_metrics_port
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{port}", durations_as_seconds=True) if port else None
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(metrics=metrics, logging=quiet))


async def make_main_and_pictures(
    settings: Settings, stack: AsyncExitStack, catalog: Catalog, providers: dict[str, ImageProvider]
) -> tuple[list[Any], PictureActivities]:
    """Wire the activities to the database, the store and the providers; `stack` closes what was opened."""
    reach = fault_points(settings.crash_lab, "worker")
    database = Database(settings.database_url, pool_size=40, application_name="diorama-worker", reach=reach)
    stack.push_async_callback(database.close)
    storage = await open_storage(settings, stack)
    listener = Listener(settings.database_url, (CHANNEL_WAKE, CHANNEL_CANCEL))
    await stack.enter_async_context(listener.listening())
    keeper = Keeper(database, storage, providers, KeepingRules())
    buyer = Buyer(database, providers, keeper, BuyingRules())
    waiter = Waiter(database, providers, waiting_rules(settings))
    pictures = PictureActivities(
        database=database,
        listener=listener,
        storage=storage,
        catalog=catalog,
        library=PromptLibrary.load(),
        buyer=buyer,
        waiter=waiter,
        keeper=keeper,
        metrics=PictureMetrics(REGISTRY),
        public_url=settings.public_url,
        store_is_public=settings.store_public_url is not None,
    )
    generations = GenerationActivities(
        database=database,
        catalog=catalog,
        configured=frozenset(providers),
        review_above_usd=settings.review_above_usd,
        heartbeat_s=settings.picture_heartbeat_s,
    )
    undoing = UndoActivities(database=database, buyer=buyer, waiter=waiter, keeper=keeper)
    sessions = SessionActivities(database=database, keeper=keeper)
    return [generations.open, generations.close, undoing.undo_picture, sessions.delete_session], pictures


async def open_storage(settings: Settings, stack: AsyncExitStack) -> ObjectStorage:
    """The object store, with its bucket made."""
    storage = MinioStorage(
        endpoint=settings.store_endpoint,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key.get_secret_value(),
        bucket=settings.store_bucket,
        public_url=settings.store_public_url,
    )
    stack.push_async_callback(storage.close)
    await storage.prepare()
    if settings.crash_lab is None:
        return storage
    return StorageWithFaultPoints(storage, fault_points(settings.crash_lab, "worker"))


async def run(settings: Settings) -> None:
    """Work until a signal says stop; then let running activities end within the grace."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        catalog = Catalog.load()
        providers = make_providers(settings, catalog)
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        main, pictures = await make_main_and_pictures(settings, stack, catalog, providers)
        client = await connect(settings.temporal_address, settings.temporal_namespace, runtime=make_runtime(settings))
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        workers = make_workers(client, settings, main, pictures, sorted(providers))
        running = asyncio.gather(*(worker.run() for worker in workers))
        async with HealthServer(settings.worker_health_port):
            log.info("worker.ready", providers=sorted(providers))
            stopped = asyncio.ensure_future(stop.wait())
            ends: list[asyncio.Future[Any]] = [running, stopped]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        log.info("worker.stopping", grace_s=settings.worker_grace_s)
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await running


def waiting_rules(settings: Settings) -> WaitingRules:
    """Half of the read quota is for polling; with webhooks the first poll can wait, because it rarely finds news."""
    polls_per_s = settings.replicate_reads_per_minute / 60 / 2
    first_s = 3.0 if settings.public_url else 0.5
    return WaitingRules(first_s=first_s, polls_per_s=polls_per_s)


def main() -> int:
    """Entry of `python -m worker`; 0 after a clean stop, 2 when the configuration is not usable."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, "worker")
        uvloop.run(run(settings))
    except ConfigurationError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
