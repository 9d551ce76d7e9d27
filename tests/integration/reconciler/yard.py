"""The reconciler's checks over real servers, and ways to leave things astray."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.all_checks import Tools, all_checks
from activities.reconciliation.check import Check, ReconcilingRules
from activities.reconciliation.retention import RetentionRules
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from activities.waiting import Waiter, WaitingRules
from contracts.names import WORKFLOW_AVATAR, workflow_id
from contracts.pictures import Candidate, Closing, PictureOrder
from contracts.reconciliation import CheckOrder, CheckReport, FindingItem
from contracts.statuses import AssetRole, AssetState, Step
from db import assets, events, ledger, lives
from db.models import Asset, Event, Generation, Spend
from db.operation_models import Finding
from engine.runs import Runs
from providers.base import ImageProvider, JobReport, Purchase
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from storage.base import NewObject, object_key
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_buying import FAST, UNKNOWABLE, Scripted
from tests.integration.test_ledger import PROMPT, a_generation
from tests.sandbox_server import SandboxServer

MODEL = "openai/gpt-image-2.5-flare"
AT_ONCE = ReconcilingRules(grace=timedelta(0), not_started=timedelta(0), closed=timedelta(0), cancel=timedelta(0))
# Long enough that whatever a test has just made is not astray yet.
PATIENT = ReconcilingRules()
KEEP_ALL = RetentionRules()


@dataclass
class Yard:
    """A reconciler, and the servers that it puts in order."""

    tables: Tables
    engine: Client
    sandbox: SandboxServer
    storage: MemoryStorage
    replicate: ReplicateProvider
    tools: Tools
    rules: ReconcilingRules = AT_ONCE
    retention: RetentionRules = KEEP_ALL

    def checks(self) -> tuple[Check, ...]:
        return all_checks(self.tools, self.rules, self.retention)

    async def check(self, name: str, *, dry_run: bool = False, after: str = "") -> CheckReport:
        """Do one check to its end."""
        report = await self.checked(name, dry_run=dry_run, after=after)
        assert report.skipped is None, report.skipped
        return report

    async def checked(self, name: str, *, dry_run: bool = False, after: str = "") -> CheckReport:
        """Do one check as the worker does it."""
        registry = CollectorRegistry()
        activities = ReconcileActivities(
            database=self.tables.database, checks=self.checks(), metrics=ReconcilerMetrics(registry)
        )
        order = CheckOrder(check=name, dry_run=dry_run, after=after)
        report: CheckReport = await ActivityEnvironment().run(activities.reconcile, order)
        return report

    async def findings(self, name: str, **how: Any) -> list[tuple[str, str]]:
        """What one check finds and does: (kind, action)."""
        return [(item.kind, item.action) for item in (await self.check(name, **how)).findings]

    async def only(self, name: str, **how: Any) -> FindingItem:
        """The one finding of a check."""
        (item,) = (await self.check(name, **how)).findings
        return item

    # What is there

    async def generation(self, generation_id: UUID) -> Generation:
        async with self.tables.database.transaction() as session:
            return await lives.read(session, generation_id)

    async def spends(self, generation_id: UUID) -> list[Spend]:
        async with self.tables.database.transaction() as session:
            query = select(Spend).where(Spend.generation_id == generation_id).order_by(col(Spend.purchase))
            return list((await session.exec(query)).all())

    async def spend(self, generation_id: UUID) -> Spend:
        (spend,) = await self.spends(generation_id)
        return spend

    async def asset(self, asset_id: UUID) -> Asset:
        async with self.tables.database.transaction() as session:
            return await session.get_one(Asset, asset_id)

    async def events(self, generation_id: UUID) -> list[Event]:
        async with self.tables.database.transaction() as session:
            return list(await events.after(session, generation_id, 0))

    async def rows(self) -> list[Finding]:
        async with self.tables.database.transaction() as session:
            return list((await session.exec(select(Finding).order_by(col(Finding.id)))).all())

    async def keys(self) -> list[str]:
        return [found.key async for found in self.storage.list_prefix("")]

    async def set(self, table: str, row_id: UUID, **values: str) -> None:
        """Change a row behind everybody's back; values are SQL expressions."""
        changes = ", ".join(f"{name} = {value}" for name, value in values.items())
        async with self.tables.database.transaction() as session:
            connection = await session.connection()
            await connection.execute(text(f"update {table} set {changes} where id = :id"), {"id": row_id})  # noqa: S608

    # Ways to leave things astray

    async def queued(self, **fields: Any) -> Generation:
        request = {"kind": "avatar", "avatar": {"description": "a fox", "size": "native"}, "quality": "low"}
        return await a_generation(self.tables, **({"request": request} | fields))

    async def running(self, **fields: Any) -> Generation:
        generation = await self.queued(**fields)
        async with self.tables.database.transaction() as session:
            await lives.open_(session, generation)
        return await self.generation(generation.id)

    async def started(self, generation: Generation) -> str:
        """A workflow for it at the engine, which no worker works on; its id."""
        name = workflow_id(generation.id, generation.run)
        await self.engine.start_workflow(WORKFLOW_AVATAR, id=name, task_queue="nobody-listens")
        return name

    async def closed(self, generation: Generation, outcome: Any = "failed") -> Generation:
        async with self.tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=generation.id, outcome=outcome))
        return await self.generation(generation.id)

    async def held(self, generation: Generation, provider: str = "replicate", purchase: int = 0) -> Spend:
        candidate = Candidate(provider=provider, model=MODEL, max_usd=Decimal("0.05"), unknown_policy="review")
        order = PictureOrder(
            generation_id=generation.id,
            tenant_id=generation.tenant_id,
            step=Step.avatar,
            purchase=purchase,
            candidate=candidate,
            reference=None,
            deadline_s=60,
        )
        async with self.tables.database.transaction() as session:
            return await ledger.claim(session, order, PROMPT)

    async def sent(self, spend: Spend, window_s: float = -1) -> Spend:
        async with self.tables.database.transaction() as session:
            return await ledger.mark_sent(session, spend, window_s=window_s)

    async def unknown(self, spend: Spend) -> Spend:
        async with self.tables.database.transaction() as session:
            return await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=-1))

    async def bought(self, spend: Spend, prompt: str = "a fox") -> JobReport:
        """A job at the provider that carries this purchase's token."""
        purchase = Purchase(
            token=spend.token,
            model=MODEL,
            prompt=prompt,
            quality="low",
            size=None,
            shape="square",
            references=(),
            deadline_s=60,
        )
        return await self.replicate.submit(purchase)

    async def picture(
        self,
        generation: Generation | None,
        *,
        state: AssetState = AssetState.stored,
        role: AssetRole = AssetRole.picture,
        body: bytes | None = b"a picture",
    ) -> Asset:
        """A row in this state, with an object when there is a body."""
        digest = sha256(str(generation and generation.id).encode() + (body or b"") + role.encode()).hexdigest()
        owner = generation.id if generation else uuid4()  # an upload has a folder of its own
        row = Asset(
            tenant_id=self.tables.tenant_id,
            generation_id=generation.id if generation else None,
            step=Step.avatar,
            role=role,
            key=object_key(self.tables.tenant_id, owner, "avatar", digest, "image/png"),
            content_type="image/png",
            size_bytes=len(body or b""),
            sha256=sha256(body or b"").hexdigest(),
            width=1,
            height=1,
        )
        ways = {AssetState.pending: (), AssetState.stored: (AssetState.stored,), AssetState.deleting: (state,)}
        async with self.tables.database.transaction() as session:
            await assets.announce(session, row)
            for step in ways[state]:
                await assets.mark(session, row.id, step)
        if body is not None:
            await self.put(row.key, body)
        return row

    async def put(self, key: str, body: bytes = b"a picture") -> None:
        new = NewObject(key=key, content_type="image/png", sha256=sha256(body).hexdigest())
        await self.storage.put(new, _once(body), len(body))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


@asynccontextmanager
async def opened_yard(tables: Tables, engine: Client, sandbox: SandboxServer) -> AsyncIterator[Yard]:
    replicate = ReplicateProvider(
        base_url=sandbox.replicate_url,
        token=SecretStr("r8_test"),
        catalog=Catalog.load(),
        reads=ReadQuota(60_000, burst=1000),
    )
    storage = MemoryStorage()
    providers: dict[str, ImageProvider] = {
        "replicate": replicate,
        "openai": Scripted([], [UNKNOWABLE], synchronous=True),
    }
    keeper = Keeper(tables.database, storage, providers, KeepingRules())
    tools = Tools(
        database=tables.database,
        storage=storage,
        providers=providers,
        keeper=keeper,
        buyer=Buyer(tables.database, providers, keeper, FAST),
        waiter=Waiter(tables.database, providers, WaitingRules(first_s=0.01)),
        runs=Runs(engine),
    )
    yield Yard(tables, engine, sandbox, storage, replicate, tools)
    await replicate.close()
