"""The lab: a whole stack that may be killed anywhere, a tenant of its own, and clients that use it."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx

from db import keys
from db.engine import Database
from deploy.local import LocalStack, StackOptions
from storage.minio_storage import MinioStorage
from tests.crash.asked import Memory
from tests.crash.boundaries import ROOT
from tests.crash.crew import OURS, SERVERS, STACK_SERVICES, Crew
from tests.crash.doors import Doors
from tests.crash.journal import LabJournal
from tests.crash.keeper import Keeper
from tests.crash.load import Load
from tests.crash.own_picture_host import OwnPictureHost, own_picture_host
from tests.crash.patient_http import PatientHttp, patient_http
from tests.crash.points import ArmedPoints
from tests.crash.programs import Programs
from tests.crash.scenarios import all_scenarios
from tests.crash.webhook_listener import WebhookListener, webhook_listener

HEARTBEAT_S = 4
SUBMIT_TIMEOUT_S = 4
GRACE_S = 15
# Between what a medium (0.05 to 0.07 USD) and a high picture (0.11) may cost: the dear ones wait for people.
REVIEW_ABOVE_USD = "0.08"
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


def lab_options(points: Path, visitors: Visitors, *, reconcile_every_s: int = 5) -> StackOptions:
    """Short times, so that what takes minutes in life takes seconds here."""
    settings = {
        "DIORAMA_CRASH_LAB": str(points),
        "DIORAMA_PICTURE_HEARTBEAT_S": str(HEARTBEAT_S),
        "DIORAMA_REPLICATE_SUBMIT_TIMEOUT_S": str(SUBMIT_TIMEOUT_S),
        "DIORAMA_RECONCILE_EVERY_S": str(reconcile_every_s),
        "DIORAMA_RECONCILE_GRACE_S": str(GRACE_S),
        "DIORAMA_REVIEW_ABOVE_USD": REVIEW_ABOVE_USD,
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
        crew = Crew(servers, ROOT, root / "stack" / "logs")
        await stack.enter_async_context(crew.serving())
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
        sandbox = httpx.AsyncClient(base_url=sandbox_url(environment), timeout=30, trust_env=False)
        await stack.enter_async_context(sandbox)
        await without_limits(sandbox)
        keeper = Keeper(programs, (*OURS, *SERVERS), journal, {"sandbox": lambda: without_limits(sandbox)})
        key = keys.new_key()
        api = await stack.enter_async_context(patient_http(environment["DIORAMA_PUBLIC_URL"], key, memory.strange))
        await stack.enter_async_context(keeper.keeping())
        database = Database(environment["DIORAMA_DATABASE_URL"], pool_size=4)
        stack.push_async_callback(database.close)
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
