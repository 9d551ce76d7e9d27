"""The openai client against our API, and the worker's part of a generation played by the test."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx2
import openai

from contracts.statuses import AssetRole, AssetState, Step
from db.columns import now
from db.models import Asset
from storage.base import NewObject, object_key
from tests.integration.api.running_api import RunningApi, Tenant, eventually, png
from tests.integration.patience import HTTP_S

PICTURES = (png(64, 48), png(32, 32), png(48, 64))
# The client's own, but for the 5 s that a connection may take.
TIMEOUT = openai.Timeout(openai.DEFAULT_TIMEOUT.read, connect=HTTP_S)


def client_of(tenant: Tenant, **options: Any) -> openai.AsyncOpenAI:
    """The unmodified client: only its base URL, its key and its patience are ours."""
    usual: dict[str, Any] = {"api_key": tenant.key, "max_retries": 0, "timeout": TIMEOUT}
    return openai.AsyncOpenAI(base_url=f"{tenant.api.url}/v1", **(usual | options))


class GivesUpOnce(httpx2.AsyncHTTPTransport):
    """The wire of a client whose first request meets its read time-out, as soon as `is_time` has returned."""

    def __init__(self, is_time: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._is_time = is_time
        self._gave_up = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it on."""
        if self._gave_up:
            return await super().handle_async_request(request)
        self._gave_up = True
        asking = asyncio.ensure_future(super().handle_async_request(request))
        try:
            await self._is_time()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        raise httpx2.ReadTimeout("given up", request=request)


async def body_in_store(api: RunningApi, tenant_id: UUID, generation_id: str, step: str, body: bytes) -> dict[str, Any]:
    """An object as the worker stores it; its AssetRef as JSON."""
    sha256 = hashlib.sha256(body).hexdigest()
    key = object_key(tenant_id, UUID(generation_id), step, sha256, "image/png")

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    await api.storage.put(NewObject(key=key, content_type="image/png", sha256=sha256), chunks(), len(body))
    size = {"size_bytes": len(body), "width": 64, "height": 48}
    return {"asset_id": str(uuid4()), "key": key, "sha256": sha256, "content_type": "image/png", **size}


async def succeed(tenant: Tenant, generation_id: str, *bodies: bytes) -> None:
    """End a generation with these pictures, as the worker does."""
    made = []
    for number, body in enumerate(bodies or PICTURES[:1], start=1):
        step = f"variant-{number}"
        asset = await body_in_store(tenant.api, tenant.id, generation_id, step, body)
        made.append({"step": step, "asset": asset, "provider": "replicate", "model": "a-model", "cost_usd": "0.05"})
    await tenant.finish(generation_id, "succeeded", result={"pictures": made}, cost_usd="0.05")


async def fail(tenant: Tenant, generation_id: str, code: str, **facts: Any) -> None:
    """End a generation with this failure, as the worker does."""
    failure = {"code": code, "detail": f"It is {code}", "step": "variant-1", "facts": facts}
    await tenant.finish(generation_id, "failed", error=failure)


async def show_partial(tenant: Tenant, generation_id: str, number: int, body: bytes) -> None:
    """Show an unfinished picture, as the worker does."""
    ref = await body_in_store(tenant.api, tenant.id, generation_id, f"variant-1-partial-{number}", body)
    asset = Asset(
        tenant_id=tenant.id,
        generation_id=UUID(generation_id),
        step=Step.variant_1,
        role=AssetRole.partial,
        state=AssetState.stored,
        stored_at=now(),
        **{name: ref[name] for name in ("key", "content_type", "size_bytes", "sha256", "width", "height")},
    )
    async with tenant.api.database.transaction() as session:
        session.add(asset)
    await tenant.tell(generation_id, "picture.partial", step="variant-1", asset_id=str(asset.id), index=number)


async def newest(tenant: Tenant, count: int = 1) -> str:
    """The newest generation's id, as soon as the tenant has so many."""

    async def look() -> str | None:
        found = await tenant.generations()
        return str(found[0]["id"]) if len(found) >= count else None

    return str(await eventually(look))


@asynccontextmanager
async def worked_on(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """A worker's part beside the block; what goes wrong in it ends the block, which is not to end without it."""

    async def worker() -> None:
        await work()

    async with asyncio.TaskGroup() as group:
        working = group.create_task(worker())
        yield
        _, left = await asyncio.wait({working}, timeout=HTTP_S)
        assert not left, "the call was answered before its worker had done anything that could end it"
