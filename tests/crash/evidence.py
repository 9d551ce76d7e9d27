"""Everything that can be known after a run: rows, objects, the provider's bill, and what the clients saw."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import forgetting
from db.columns import Table
from db.models import Asset, Event, Generation, Spend, Tenant
from db.operation_models import Finding, OperatorAction
from db.protection_models import Erasure
from db.webhook_models import Delivery, WebhookEndpoint
from storage.minio_storage import MinioStorage
from tests.budget_counts import BudgetCount, read_counts
from tests.crash.asked import Memory
from tests.crash.doors import Doors

Row = TypeVar("Row", bound=Table)
Group = dict[UUID, list[Row]]
MANY = 100_000


@dataclass(frozen=True, slots=True)
class Charge:
    """One paid job on the provider's bill. `billed` None: it still runs."""

    job_id: str
    provider: str
    token: str
    amount_usd: Decimal
    accepted_at: datetime
    billed: bool | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One tenant's rows by generation, its objects (key -> sha256 of the bytes), and the whole bill."""

    tenant_id: UUID
    generations: Mapping[UUID, Generation]
    events: Mapping[UUID, Sequence[Event]]
    spends: Mapping[UUID, Sequence[Spend]]
    assets: Sequence[Asset]
    objects: Mapping[str, str]
    charges: Sequence[Charge]
    # Tokens of purchases of other tenants: their charges are none of ours.
    foreign_tokens: frozenset[str]
    endpoints: Sequence[WebhookEndpoint] = ()
    deliveries: Sequence[Delivery] = ()
    told: frozenset[str] = frozenset()  # ids of the messages that the tenant's endpoints took
    findings: Sequence[Finding] = ()
    actions: Sequence[OperatorAction] = ()
    budgets: Sequence[BudgetCount] = ()  # all valid ones, of whomever
    unforgotten: frozenset[UUID] = frozenset()  # generations that were to be erased, and have words or pictures
    memory: Memory = field(default_factory=Memory)


async def gather_evidence(doors: Doors, memory: Memory) -> Evidence:
    """Read it all; every server must be up."""
    tenant_id = doors.tenant_id
    async with doors.database.transaction() as session:
        mine = [*(await session.exec(select(Generation).where(Generation.tenant_id == tenant_id))).all()]
        ids = [row.id for row in mine]
        events = (
            await session.exec(select(Event).where(col(Event.generation_id).in_(ids)).order_by(col(Event.seq)))
        ).all()
        spends = (await session.exec(select(Spend).where(Spend.tenant_id == tenant_id).order_by(col(Spend.id)))).all()
        assets = (await session.exec(select(Asset).where(Asset.tenant_id == tenant_id).order_by(col(Asset.id)))).all()
        foreign = (await session.exec(select(Spend.token).where(Spend.tenant_id != tenant_id))).all()
        others = (await session.exec(select(Tenant.id).where(Tenant.id != tenant_id))).all()
        endpoints = (await session.exec(select(WebhookEndpoint).where(WebhookEndpoint.tenant_id == tenant_id))).all()
        deliveries = (await session.exec(select(Delivery).where(Delivery.tenant_id == tenant_id))).all()
        findings = (await session.exec(select(Finding).order_by(col(Finding.id)))).all()
        actions = (await session.exec(select(OperatorAction).order_by(col(OperatorAction.id)))).all()
        budgets = await read_counts(session)
        unforgotten = await _unforgotten(session, tenant_id)
    return Evidence(
        tenant_id=tenant_id,
        generations={row.id: row for row in mine},
        events=_by_generation(events),
        spends=_by_generation(spends),
        assets=assets,
        objects=await _objects(doors.storage, others),
        charges=await read_charges(doors.sandbox),
        foreign_tokens=frozenset(foreign),
        endpoints=endpoints,
        deliveries=deliveries,
        told=frozenset(doors.listener.accepted),
        findings=findings,
        actions=actions,
        budgets=budgets,
        unforgotten=unforgotten,
        memory=memory,
    )


async def _unforgotten(session: AsyncSession, tenant_id: UUID) -> frozenset[UUID]:
    """By the product's own rule of what words are: there is one place for it."""
    erasures = (await session.exec(select(Erasure.id).where(Erasure.tenant_id == tenant_id))).all()
    found = [await forgetting.unfinished(session, erasure_id, limit=MANY) for erasure_id in erasures]
    return frozenset(generation_id for group in found for generation_id, _ in group)


async def read_charges(sandbox: httpx.AsyncClient) -> list[Charge]:
    """The whole bill, oldest first."""
    answer = await sandbox.get("/admin/charges", params={"limit": MANY})
    answer.raise_for_status()
    return [_charge(row) for row in answer.json()]


def _charge(row: dict[str, Any]) -> Charge:
    return Charge(
        job_id=row["job_id"],
        provider=row["provider"],
        token=str(row["user_id"]),
        amount_usd=Decimal(str(row["amount_usd"])),
        accepted_at=datetime.fromtimestamp(row["accepted_at"]).astimezone(),
        billed=row["billed"],
    )


def _by_generation(rows: Sequence[Any]) -> dict[UUID, list[Any]]:
    grouped: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row.generation_id].append(row)
    return grouped


async def _objects(storage: MinioStorage, others: Sequence[UUID]) -> dict[str, str]:
    """The whole bucket, but for other tenants' part of it."""
    found = {}
    async for listed in storage.list_prefix(""):
        if listed.key.startswith(tuple(str(other) for other in others)):
            continue
        digest = hashlib.sha256()
        async for chunk in await storage.get(listed.key):
            digest.update(chunk)
        found[listed.key] = digest.hexdigest()
    return found
