"""All four providers in one house: the real workflows, activities, tables and provider files, before the sandbox."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.buying import Buyer
from activities.buying_rules import BuyingRules
from activities.generations import GenerationActivities
from activities.keeping import Keeper, KeepingRules
from activities.observation import PictureMetrics
from activities.pictures import PictureActivities
from activities.planning import Planner
from activities.purchase_gate import Obstacle, PurchaseGate, obstacle_in
from activities.replanning import FailoverMetrics, ReplanActivities
from activities.standing_board import StandingBoard
from activities.undoing import UndoActivities
from activities.waiting import Waiter, WaitingRules
from activities.witness import Witness
from contracts.names import (
    CHANNEL_CANCEL,
    CHANNEL_STANDING,
    CHANNEL_WAKE,
    MAIN_QUEUE,
    WORKFLOW_IMAGE,
    provider_queue,
    workflow_id,
)
from contracts.pictures import GenerationInput
from contracts.statuses import Kind
from db.columns import now
from db.engine import Database
from db.listener import Listener
from db.models import Spend
from prompts.library import PromptLibrary
from providers.base import ImageProvider
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from providers.model_entry import ModelEntry
from providers.openai_images import OpenAIImagesProvider
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.wavespeed import WaveSpeedProvider
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.failover.door import Door, open_door
from tests.integration.test_ledger import a_generation
from tests.sandbox_server import SandboxServer
from workflows.image import Image

PROVIDERS: Final = ("replicate", "openai", "getimg", "wavespeed")
# One model of each, made relatives here, so that whoever is named first is followed by any other.
USUAL: Final = {
    "replicate": "black-forest-labs/flux-schnell",
    "openai": "gpt-image-2.5-flare",
    "getimg": "seedream-5-lite",
    "wavespeed": "wavespeed-ai/flux-schnell",
}
# And another one of each, so dear that people decide about a purchase of unknown outcome.
DEAR: Final = {
    "replicate": "openai/gpt-image-2",
    "openai": "gpt-image-2",
    "getimg": "stable-diffusion-xl",
    "wavespeed": "wavespeed-ai/flux-dev",
}
# Who makes pictures from pictures: two of the usual ones, and two that are taken for nothing else here.
EDITING: Final = {
    "replicate": "openai/gpt-image-2.5-flare",
    "openai": USUAL["openai"],
    "getimg": USUAL["getimg"],
    "wavespeed": "bytedance/seedream-v4",
}
FAMILIES: Final = {"edits": EDITING, "usual": USUAL, "dear": DEAR}
REVIEW_ABOVE_USD: Final = Decimal("0.5")
# As in the product, but for what only costs time: a purchase whose answer was lost is sent again after all of these.
# Sixty at once wait for the pool and for the commit, and a busy machine must not take one of them for a paused process.
BUYING: Final = BuyingRules(start_within_s=12, list_lag_s=0.2, look_up_every_s=0.2)
SUBMIT_TIMEOUT_S: Final = 4.0
# More than any test has, as in the product: who waits for a provider keeps nobody else out.
PICTURES_IN_FLIGHT: Final = 500
KEY: Final = SecretStr("a key of the tests")


class GateOfChoice(PurchaseGate):
    """A gate that stands open until a test uses it: what many tests do at once must not close it for each other."""

    def __init__(self, database: Database, board: StandingBoard) -> None:
        super().__init__(database, board)
        self.is_in_use = False

    async def kept_out(self) -> set[str]:
        """The providers that no usual picture is bought from while it is in use."""
        standings = await self._board.standings()
        return {name for name in PROVIDERS if obstacle_in(standings, name, USUAL[name], now())}

    async def _obstacle(self, spend: Spend, *, begins: bool) -> Obstacle | None:
        return await super()._obstacle(spend, begins=begins) if self.is_in_use else None


@dataclass
class House:
    """Where generations are begun, and what they leave behind."""

    tables: Tables
    engine: Client
    sandbox: SandboxServer
    doors: Mapping[str, Door]
    gate: GateOfChoice
    providers: Mapping[str, ImageProvider]
    storage: MemoryStorage = field(default_factory=MemoryStorage)

    async def make(self, request: Mapping[str, Any]) -> UUID:
        """Accept a request for an image, and run its workflow to the end; the generation's id."""
        # What may be bought is another matter here than what was promised for it.
        promised = {"quote_max_usd": Decimal(100)}
        row = await a_generation(self.tables, kind=Kind.image, request={"kind": "image", **request}, **promised)
        given = GenerationInput(generation_id=row.id, tenant_id=row.tenant_id, kind=row.kind)
        handle = await self.engine.start_workflow(WORKFLOW_IMAGE, given, id=workflow_id(row.id), task_queue=MAIN_QUEUE)
        with contextlib.suppress(WorkflowFailureError):  # the row says how it ended
            await handle.result()
        return row.id


def catalog() -> Catalog:
    """The product's, but that the models of a family are relatives, and those that are to be dear are."""
    families = {(provider, model): name for name, group in FAMILIES.items() for provider, model in group.items()}
    loaded = Catalog.load()

    def changed(entry: ModelEntry) -> ModelEntry:
        family = families.get((entry.provider, entry.model), f"no relative of {entry.model}")
        changes: dict[str, Any] = {"family": family}
        if family == "dear":
            changes["max_over_price"] = Decimal(1000)
        if family == "edits":
            changes |= {"family": "usual", "capabilities": ("image_to_image",)}
        return entry.model_copy(update=changes)

    return Catalog(loaded.providers, tuple(changed(entry) for entry in loaded.models))


def providers_behind(doors: Mapping[str, Door], known: Catalog) -> dict[str, ImageProvider]:
    """The four, each behind its own door."""

    def url(name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{doors[name].port}/{name}{path}"

    reads = ReadQuota(60_000, burst=1000)
    return {
        "replicate": ReplicateProvider(
            base_url=url("replicate"), token=KEY, catalog=known, reads=reads, submit_timeout_s=SUBMIT_TIMEOUT_S
        ),
        "openai": OpenAIImagesProvider(base_url=url("openai", "/v1"), key=KEY, catalog=known),
        "getimg": GetimgProvider(
            base_url=url("getimg"), key=KEY, catalog=known, download_pauses_s=(0.1, 0.2), download_timeout_s=60.0
        ),
        "wavespeed": WaveSpeedProvider(base_url=url("wavespeed"), key=KEY, catalog=known, reads=reads),
    }


@asynccontextmanager
async def open_house(tables: Tables, engine: Client, sandbox: SandboxServer) -> AsyncIterator[House]:
    """Workers for everything that an image needs, until the block ends."""
    known = catalog()
    async with AsyncExitStack() as stack:
        doors = {name: await stack.enter_async_context(open_door(sandbox.port)) for name in PROVIDERS}
        providers = providers_behind(doors, known)
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        listener = Listener(tables.url, (CHANNEL_WAKE, CHANNEL_CANCEL, CHANNEL_STANDING))
        await stack.enter_async_context(listener.listening())
        board = StandingBoard(tables.database, listener)
        await stack.enter_async_context(board.noticing())
        witness = Witness(tables.database, board)
        await stack.enter_async_context(witness.writing())
        house = House(tables, engine, sandbox, doors, GateOfChoice(tables.database, board), providers)
        for worker in workers_of(house, known, listener, witness):
            await stack.enter_async_context(worker)
        yield house


def workers_of(house: House, known: Catalog, listener: Listener, witness: Witness) -> list[Worker]:
    """Wired as in the product; only the planner knows nothing of standings, so that the order stays as it is asked for."""
    database, providers = house.tables.database, house.providers
    keeper = Keeper(database, house.storage, providers, KeepingRules())
    buyer = Buyer(database, providers, keeper, BUYING, gate=house.gate, witness=witness)
    waiter = Waiter(database, providers, WaitingRules(first_s=0.1, longest_s=0.5, polls_per_s=1000), witness=witness)
    registry = CollectorRegistry()
    pictures = PictureActivities(
        database=database,
        listener=listener,
        storage=house.storage,
        catalog=known,
        library=PromptLibrary.load(),
        buyer=buyer,
        waiter=waiter,
        keeper=keeper,
        witness=witness,
        metrics=PictureMetrics(registry),
        public_url=None,
        store_is_public=False,
    )
    planner = Planner(known, configured=frozenset(providers), review_above_usd=REVIEW_ABOVE_USD)
    generations = GenerationActivities(database=database, planner=planner, heartbeat_s=30)
    replanning = ReplanActivities(database=database, planner=planner, metrics=FailoverMetrics(registry))
    undoing = UndoActivities(database=database, buyer=buyer, waiter=waiter, keeper=keeper)
    main = Worker(
        house.engine,
        task_queue=MAIN_QUEUE,
        workflows=[Image],
        activities=[generations.open, generations.close, replanning.replan, undoing.undo_picture],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    make: dict[str, Any] = {"activities": [pictures.make_picture], "max_concurrent_activities": PICTURES_IN_FLIGHT}
    return [main, *(Worker(house.engine, task_queue=provider_queue(name), **make) for name in providers)]
