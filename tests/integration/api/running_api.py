"""A real API on a real socket, with a database of its own, for tests of what clients see."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from PIL import Image
from pydantic import SecretStr
from sqlalchemy import Row, text

from api.app import create_app
from api.server import StreamEndingServer, build_server
from config import Settings
from contracts.statuses import Status
from db import events, keys, reports
from db.columns import now
from db.engine import Database, DatabasePatience
from db.models import Generation
from storage.base import ObjectStorage
from tests.fresh_connections import FRESH
from tests.integration.patience import HTTP_S, PATIENT

T = TypeVar("T")

PEPPER = "a pepper of the tests"
WEBHOOK_SECRET = "whsec_dGhlIHRlc3RzIHNpZ24gd2l0aCB0aGlz"
# More than anything takes that tests wait for, and less than a test may take: whoever waits in vain says for what.
EVENTUALLY_S = 120


def settings_for(database_url: str, temporal_address: str, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "database_url": database_url,
        "temporal_address": temporal_address,
        "store_endpoint": "http://127.0.0.1:9",
        "store_access_key": "nobody",
        "store_secret_key": SecretStr("nothing"),
        "api_key_pepper": SecretStr(PEPPER),
        "token_secret": SecretStr("a secret of the tests"),
        "replicate_api_token": SecretStr("r8_not_a_token"),
        "replicate_webhook_secret": SecretStr(WEBHOOK_SECRET),
        "wavespeed_webhook_secret": SecretStr(WEBHOOK_SECRET),
        "review_above_usd": Decimal("0.50"),
    }
    return Settings(_env_file=None, **(values | more))


@dataclass(frozen=True)
class RunningApi:
    """Where the API listens, and what is behind it."""

    url: str
    database: Database
    storage: ObjectStorage
    server: StreamEndingServer

    async def ask(self, query: str, **values: Any) -> Sequence[Row[Any]]:
        """The rows that a statement gives, if any; committed."""
        async with self.database.transaction() as session:
            connection = await session.connection()
            result = await connection.execute(text(query), values)
            return result.all() if result.returns_rows else ()


@asynccontextmanager
async def running_api(
    settings: Settings,
    storage: ObjectStorage,
    *,
    more: Sequence[APIRouter] = (),
    patience: DatabasePatience = PATIENT,
) -> AsyncIterator[RunningApi]:
    """`more`: routes of the test's own. `patience`: with a PostgreSQL that is slow, of which usually no test is to be told."""
    stopping = asyncio.Event()
    app = create_app(settings, stopping=stopping, storage=storage, patience=patience)
    for router in more:
        app.include_router(router)
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    server = build_server(app, host="127.0.0.1", port=port, stopping=stopping)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    database = Database(settings.database_url, pool_size=2, patience=PATIENT)
    try:
        with patient_reports():
            while not server.started:
                assert not serving.done(), "the server ended before it had started"
                await asyncio.sleep(0.01)
        yield RunningApi(f"http://127.0.0.1:{port}", database, storage, server)
    finally:
        server.should_exit = True
        await serving
        await database.close()


@contextmanager
def patient_reports() -> Iterator[None]:
    """An API that starts in the block waits for a reader's connection for longer. How long it may read stays as it is."""
    patience = replace(reports.PATIENCE, connect_s=PATIENT.connect_s, pool_s=PATIENT.pool_s)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reports, "PATIENCE", patience)
        yield


@dataclass(frozen=True)
class Tenant:
    """A tenant with a key, and a client that uses it."""

    id: UUID
    key: str
    client: httpx.AsyncClient
    api: RunningApi

    async def counts(self) -> dict[str, int]:
        """How many rows of each kind the tenant has."""
        tables = ("generation", "asset", "spend")
        counted = {
            table: await self.api.ask(f"select count(*) from {table} where tenant_id = :id", id=self.id)  # noqa: S608
            for table in tables
        }
        return {table: rows[0][0] for table, rows in counted.items()}

    async def generations(self) -> list[dict[str, Any]]:
        """The newest generations as clients see them."""
        answer = await self.client.get("/v1/generations")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def accept(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to an accepted request."""
        answer = await self.client.post("/v1/generations", json=body)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def finish(self, generation_id: str, status: str, **columns: Any) -> None:
        """End a generation as the worker does: row and last event in one transaction."""
        result: dict[str, Any] | None = {"pictures": []} if status == Status.succeeded else None
        changes = {"status": Status(status), "finished_at": now(), "hold_usd": 0, "result": result} | columns
        async with self.api.database.transaction() as session:
            row = await session.get_one(Generation, UUID(generation_id), with_for_update=True)
            if row.status is Status.queued:
                row.status, row.started_at = Status.running, now()
                await session.flush()
            for name, value in changes.items():
                setattr(row, name, value)
            session.add(row)
            await session.flush()
            await events.append(session, row.id, f"generation.{status}", ended=True)

    async def tell(self, generation_id: str, kind: str, **data: Any) -> None:
        """Append an event, as the worker does."""
        async with self.api.database.transaction() as session:
            await events.append(session, UUID(generation_id), kind, data)

    async def objects(self) -> list[str]:
        """The keys of all objects of the tenant."""
        return [found.key async for found in self.api.storage.list_prefix(f"{self.id}/")]


@asynccontextmanager
async def new_tenant(api: RunningApi, *, operator: bool = False) -> AsyncIterator[Tenant]:
    key = keys.new_key()
    async with api.database.transaction() as session:
        tenant_id = await keys.ensure_key(session, key, pepper=PEPPER, tenant_name=key, operator=operator)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=HTTP_S, limits=FRESH) as client:
        yield Tenant(tenant_id, key, client, api)


async def eventually(check: Callable[[], Awaitable[T | None]]) -> T:
    """What `check` gives as soon as it is something."""
    try:
        async with asyncio.timeout(EVENTUALLY_S) as limit:
            while not (found := await check()):  # noqa: ASYNC110 the change happens in another process
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        if not limit.expired():
            raise
        name = getattr(check, "__qualname__", repr(check))
        raise AssertionError(f"{name} found nothing in {EVENTUALLY_S} s") from None


def png(width: int = 64, height: int = 48) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 80, 40)).save(out, "PNG")
    return out.getvalue()


AVATAR: dict[str, Any] = {"kind": "avatar", "avatar": {"description": "a retired sea captain with a white beard"}}
CHAIN: dict[str, Any] = {
    "kind": "avatar_scene",
    "avatar": {"description": "a young explorer with short red hair"},
    "scene": {"theme": "aurora-night", "details": "a small red cabin"},
    "session_id": "evening-walk",
    "tags": ["demo"],
}
