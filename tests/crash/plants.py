"""Scenarios that put something astray by hand: what a crash leaves behind once in a million times, and others' mistakes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.names import workflow_id
from contracts.statuses import SpendState
from db.columns import now
from db.models import Event, Generation, Spend
from db.operation_models import Notice
from errors import DatabaseUnavailable, StorageError
from storage.base import NewObject
from tests.crash.asked import Asked
from tests.crash.customer import Customer
from tests.crash.looking import until
from tests.crash.patient_http import PATIENCE_S
from tests.crash.purchases import first_spend, is_submitted
from tests.crash.requests import Request

LONG_AGO = timedelta(minutes=3)
LAST_WEEK = timedelta(days=8)
LOOK_EVERY_S = 0.2
SANDBOX_AWAY_S = 1.5

Result = TypeVar("Result")


async def leaving_an_object(customer: Customer, _request: Request, name: str) -> None:
    """An object that no row knows."""
    body = name.encode()
    digest = hashlib.sha256(body).hexdigest()
    key = f"{customer.doors.tenant_id}/{uuid4()}/avatar-{digest[:16]}.png"

    async def whole() -> AsyncIterator[bytes]:
        yield body

    async def put() -> None:
        await customer.doors.storage.put(
            NewObject(key=key, content_type="image/png", sha256=digest), whole(), len(body)
        )

    await repeated(put)


async def leaving_an_old_notice(customer: Customer, _request: Request, name: str) -> None:
    """A webhook of last week."""
    await _written(customer, Notice(id=name, provider="replicate", token=name, received_at=now() - LAST_WEEK))


async def buying_late(customer: Customer, request: Request, name: str) -> None:
    """A purchase that a lost attempt began after its generation had been closed."""
    asked = await _made(customer, request, name)
    origin = await _first_spend(customer, asked)
    if origin is None:
        return
    fresh = {
        "id",
        "asset_id",
        "raw_asset_id",
        "provider_job_id",
        "sent_at",
        "submitted_at",
        "ended_at",
        "cost_usd",
        "billed",
    }
    late = {"purchase": 7, "state": SpendState.held, "token": name, "sends": 0, "created_at": now() - LONG_AGO}
    await _written(customer, Spend(**origin.model_dump(exclude=fresh) | late))


async def buying_beside_the_ledger(customer: Customer, request: Request, name: str) -> None:
    """A job that carries the token of a purchase, and is not its job."""
    asked = await _made(customer, request, name)
    origin = await _first_spend(customer, asked)
    if origin is None or origin.provider != "replicate":
        return
    words = {"prompt": name, "aspect_ratio": "1:1", "quality": "low", "user_id": origin.token}

    async def buy() -> None:
        (
            await customer.doors.sandbox.post(
                f"/replicate/v1/models/{origin.model}/predictions",
                json={"input": words},
                headers={"Authorization": f"Bearer {customer.doors.replicate_token}"},
            )
        ).raise_for_status()

    await repeated(buy)


async def losing_the_start(customer: Customer, request: Request, name: str) -> None:
    """A generation whose row says that the engine has it, and the engine knows nothing."""
    asked = await _made(customer, request, name)
    if asked.generation_id is None:
        return

    async def read() -> Generation:
        async with customer.doors.database.transaction() as session:
            return await session.get_one(Generation, asked.generation_id)

    origin = await repeated(read)
    again = customer.intend(asked.body)
    copied = {"tenant_id", "kind", "request", "request_hash", "quote_max_usd", "tags"}
    id_ = uuid4()
    answer = _with_id(asked, id_)
    row = Generation(
        **origin.model_dump(include=copied),
        id=id_,
        idempotency_key=again.key,
        acceptance=answer,
        created_at=now() - LONG_AGO,
        dispatched_at=now() - LONG_AGO,
        event_seq=1,
    )
    event = Event(generation_id=id_, seq=1, type="generation.queued", created_at=now() - LONG_AGO)
    await _written(customer, row, event)
    again.answer = answer
    await customer.watch(again)


def _with_id(asked: Asked, id_: UUID) -> dict[str, object]:
    """The answer that its client would have had."""
    answer = dict(asked.answer or {})
    old = str(answer["id"])
    links = {name: str(link).replace(old, str(id_)) for name, link in answer["links"].items()}
    return answer | {"id": str(id_), "links": links}


async def forgotten_by_the_engine(customer: Customer, request: Request, name: str) -> None:
    """A generation whose workflow vanishes while it runs."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    if asked.generation_id is None or not await is_submitted(customer, asked):
        await customer.watch(asked)
        return
    execution = WorkflowExecution(workflow_id=workflow_id(asked.generation_id))
    wish = DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=execution)

    async def forget() -> None:
        engine = await Client.connect(customer.doors.temporal_address)
        await engine.workflow_service.delete_workflow_execution(wish)

    await repeated(forget)
    await customer.watch(asked)


async def forgotten_by_the_provider(customer: Customer, request: Request, name: str) -> None:
    """A generation whose job the provider denies: it comes back from an outage without it."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    if await is_submitted(customer, asked):
        await _deny(customer, asked)
    await customer.watch(asked)


async def _deny(customer: Customer, asked: Asked) -> None:
    """Take the sandbox away, and its record of the job with it."""
    origin, doors = await _first_spend(customer, asked), customer.doors
    if origin is None or origin.provider_job_id is None or not doors.keeper.kill("sandbox", outage_s=SANDBOX_AWAY_S):
        return
    await asyncio.sleep(SANDBOX_AWAY_S / 3)
    records = doors.sandbox_folder / "state.jsonl"
    job = origin.provider_job_id.encode()
    records.write_bytes(b"".join(line for line in records.read_bytes().splitlines(keepends=True) if job not in line))


async def _made(customer: Customer, request: Request, name: str) -> Asked:
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await customer.watch(asked)
    return asked


async def _first_spend(customer: Customer, asked: Asked) -> Spend | None:
    return await repeated(lambda: first_spend(customer, asked))


async def _written(customer: Customer, *rows: object) -> None:
    async def write() -> None:
        async with customer.doors.database.transaction() as session:
            for row in rows:
                await session.merge(row)
                await session.flush()

    await repeated(write)


async def repeated(deed: Callable[[], Awaitable[Result]]) -> Result:
    """Until the server is there; what is done is harmless when repeated, or counted as it is."""
    results: list[Result] = []

    async def done() -> bool:
        try:
            results.append(await deed())
        except (DatabaseUnavailable, StorageError, RPCError, RuntimeError, OSError, httpx.HTTPError):
            return False
        return True

    await until(done, every_s=LOOK_EVERY_S, within_s=PATIENCE_S)
    return results[-1]
