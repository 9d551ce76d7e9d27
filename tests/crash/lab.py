"""The lab: a whole stack that may be killed anywhere, a tenant of its own, and clients that use it."""

import asyncio
import base64
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx

from contracts.budgets import BudgetOf, Period
from db import budgets, keys
from db.budgets import NewBudget
from db.engine import Database, DatabasePatience
from deploy.local import LocalStack, StackOptions
from errors import DatabaseUnavailable
from storage.minio_storage import MinioStorage
from tests.acceptance.fresh_standings import close_breakers
from tests.crash.asked import Memory
from tests.crash.crew import STACK_SERVICES, Crew
from tests.crash.doors import Doors
from tests.crash.journal import LabJournal
from tests.crash.keeper import Keeper
from tests.crash.load import Load
from tests.crash.own_picture_host import OwnPictureHost, own_picture_host
from tests.crash.patient_http import PatientHttp, patient_http
from tests.crash.points import ArmedPoints
from tests.crash.programs import Programs
from tests.crash.scenarios import all_scenarios
from tests.crash.trees import copied_tree
from tests.crash.webhook_listener import WebhookListener, webhook_listener
from tests.nursery import nursery

HEARTBEAT_S = 4
SUBMIT_TIMEOUT_S = 4
GRACE_S = 15
BREAKERS_OPEN_AT_MOST_S = 2.0
# Between what a medium (0.05 to 0.07 USD) and a high picture (0.11) may cost: the dear ones wait for people.
REVIEW_ABOVE_USD = "0.08"
# How fast servers answer the lab itself is not what is tested.
PATIENCE_S = 60.0
UNLIMITED = {"creates_per_minute": "unlimited", "reads_per_minute": "unlimited"}


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab; `luck` decides all that is drawn by lot."""

    programs: Programs
    points: ArmedPoints
    keeper: Keeper
    journal: LabJournal
    memory: Memory
    api: PatientHttp
    doors: Doors
    load: Load
    luck: random.Random


@dataclass(frozen=True, slots=True)
class Visitors:
    """Hosts outside the stack that it is to trust: where clients' pictures are, and where webhooks go."""

    pictures: OwnPictureHost
    listener: WebhookListener


def lab_options(
    points: Path, visitors: Visitors, *, reconcile_every_s: int = 5, heartbeat_s: int = HEARTBEAT_S
) -> StackOptions:
    """Short times, so that what takes minutes in life takes seconds here."""
    settings = {
        "DIORAMA_CRASH_LAB": str(points),
        "DIORAMA_PICTURE_HEARTBEAT_S": str(heartbeat_s),
        "DIORAMA_REPLICATE_SUBMIT_TIMEOUT_S": str(SUBMIT_TIMEOUT_S),
        "DIORAMA_RECONCILE_EVERY_S": str(reconcile_every_s),
        "DIORAMA_RECONCILE_GRACE_S": str(GRACE_S),
        "DIORAMA_REVIEW_ABOVE_USD": REVIEW_ABOVE_USD,
        "DIORAMA_CREDENTIAL_KEYS": f"lab:{base64.b64encode(bytes(32)).decode()}",
        "DIORAMA_WEBHOOK_HOSTS": visitors.listener.host_and_port,
    }
    return StackOptions(
        fsync=False,  # processes are killed here, not machines
        sandbox_drawing="fast",
        sandbox_duration_s=0.3,
        image_url_hosts=(visitors.pictures.host_and_port,),
        settings=settings,
    )


@asynccontextmanager
async def running_lab(root: Path, seed: int) -> AsyncIterator[Lab]:
    """A lab in a folder of its own, ended with the block."""
    async with AsyncExitStack() as stack:
        visitors = await stack.enter_async_context(welcomed())
        points = ArmedPoints(root / "points")
        options = lab_options(points.folder, visitors)
        servers = LocalStack(root / "stack", services=STACK_SERVICES, options=options)
        await stack.enter_async_context(servers)
        crew = Crew(servers, await stack.enter_async_context(nursery(servers.root)), root / "stack" / "logs")
        # Of a copy, which nobody edits while it runs, and which is compiled once.
        await stack.enter_async_context(crew.serving(copied_tree(root / "tree")))
        yield await stack.enter_async_context(lab_on(crew, points, visitors, LabJournal(root / "journal.txt"), seed))


@asynccontextmanager
async def welcomed() -> AsyncIterator[Visitors]:
    """The hosts that are to be there before the stack is told of them."""
    async with own_picture_host() as pictures, webhook_listener() as listener:
        yield Visitors(pictures, listener)


@asynccontextmanager
async def lab_on(
    programs: Programs, points: ArmedPoints, visitors: Visitors, journal: LabJournal, seed: int
) -> AsyncIterator[Lab]:
    """A lab on a stack that serves, with a new tenant."""
    environment, memory, luck = programs.environment(), Memory(), random.Random(seed)
    async with AsyncExitStack() as stack:
        sandbox = httpx.AsyncClient(base_url=sandbox_url(environment), timeout=PATIENCE_S, trust_env=False)
        await stack.enter_async_context(sandbox)
        await without_limits(sandbox)
        keeper = Keeper(programs, programs.names, journal, {"sandbox": lambda: without_limits(sandbox)})
        key = keys.new_key()
        api = await stack.enter_async_context(patient_http(environment["DIORAMA_PUBLIC_URL"], key, memory.strange))
        await stack.enter_async_context(keeper.keeping())
        database = Database(
            environment["DIORAMA_DATABASE_URL"],
            pool_size=4,
            patience=DatabasePatience(connect_s=PATIENCE_S, pool_s=PATIENCE_S, command_s=PATIENCE_S),
        )
        stack.push_async_callback(database.close)
        await stack.enter_async_context(_breakers_kept_closed(database))
        storage = _storage(environment)
        stack.push_async_callback(storage.close)
        doors = Doors(
            tenant_id=await _tenant(database, key, environment),
            operator_key=environment["DIORAMA_BOOTSTRAP_API_KEY"],
            database=database,
            storage=storage,
            keeper=keeper,
            sandbox=sandbox,
            sandbox_folder=programs.root / "sandbox",
            replicate_token=environment["DIORAMA_REPLICATE_API_TOKEN"],
            temporal_address=environment["DIORAMA_TEMPORAL_ADDRESS"],
            listener=visitors.listener,
            endpoint_id=await _endpoint(api, visitors.listener),
        )
        await _budget(api)
        await _budgets_of_all(database)
        load = Load(api, doors, memory, all_scenarios(visitors.pictures.url), luck)
        stack.push_async_callback(load.abandon)
        yield Lab(programs, points, keeper, journal, memory, api, doors, load, luck)


def sandbox_url(environment: Mapping[str, str]) -> str:
    """The root of the sandbox's addresses."""
    return environment["DIORAMA_REPLICATE_BASE_URL"].removesuffix("/replicate")


async def _tenant(database: Database, key: str, environment: Mapping[str, str]) -> UUID:
    async with database.transaction() as session:
        pepper = environment["DIORAMA_API_KEY_PEPPER"]
        return await keys.ensure_key(session, key, pepper=pepper, tenant_name=f"lab-{key[4:16]}")


async def _endpoint(api: PatientHttp, listener: WebhookListener) -> str:
    made = await api.send("POST", "/v1/webhook-endpoints", json={"url": listener.url("all"), "events": []})
    made.raise_for_status()
    return str(made.json()["id"])


async def _budget(api: PatientHttp) -> None:
    """A budget that all of the tenant's money is counted by, and that none of it fills."""
    made = await api.send("POST", "/v1/budgets", json={"of": "tenant", "period": "month", "limit_usd": "100000"})
    made.raise_for_status()


async def _budgets_of_all(database: Database) -> None:
    """The same of the service and its providers: the audit holds all of them against the rows."""
    owners = {"": BudgetOf.system, "replicate": BudgetOf.provider, "openai": BudgetOf.provider}
    for owner, of in owners.items():
        wanted = NewBudget(of, owner, Period.month, Decimal(100_000), hard=True, tenant_id=None)
        async with database.transaction() as session:
            await budgets.set_(session, wanted)


@asynccontextmanager
async def _breakers_kept_closed(database: Database) -> AsyncIterator[None]:
    """Providers that die and fail all the time stand so badly that nobody is bought from until a picture's time is over.

    What fails for that fails as it should, and shows nothing. What breakers do is shown in tests/integration/failover.
    """

    async def again_and_again() -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):  # it dies, too
                await close_breakers(database)
            await asyncio.sleep(BREAKERS_OPEN_AT_MOST_S)

    task = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def without_limits(sandbox: httpx.AsyncClient) -> None:
    """Lift the sandbox's rate limits, which it forgets when it ends. Its next end may come before it can answer."""
    try:
        await sandbox.post("/admin/settings", json=UNLIMITED)
    except httpx.TransportError:
        return


def _storage(environment: Mapping[str, str]) -> MinioStorage:
    return MinioStorage(
        environment["DIORAMA_STORE_ENDPOINT"],
        environment["DIORAMA_STORE_ACCESS_KEY"],
        environment["DIORAMA_STORE_SECRET_KEY"],
        environment["DIORAMA_STORE_BUCKET"],
    )
