"""How tests of the API look at providers and decide about their lanes, and leave them as they were."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from providers.catalog import Catalog
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant

LANES = "/v1/operations/lanes"
EVENTS = "/v1/operations/provider-events"
NOTE = {"note": "their status page says so"}
CATALOG = Catalog.load()
ENTRY = next(entry for entry in CATALOG.models if entry.provider == "replicate" and "/" in entry.model)
MODEL = f"/v1/models/replicate/{ENTRY.model}"


async def get(tenant: Tenant, path: str) -> dict[str, Any]:
    answer = await tenant.client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def decide(operator: Tenant, path: str, body: dict[str, Any]) -> httpx.Response:
    method = "PUT" if path.endswith("limit") else "POST"
    return await operator.client.request(method, f"{LANES}/{path}", json=body)


@asynccontextmanager
async def an_operator(api: RunningApi) -> AsyncIterator[Tenant]:
    """An operator; when the block ends, all lanes are as new: tests share the API's database and the catalog's names."""
    async with new_tenant(api, operator=True) as operator:
        yield operator
        for table in ("lane", "breaker", "traffic", "busy"):
            await api.ask(f"delete from {table}")  # noqa: S608 names of our own
        await decide(operator, "replicate/resume", NOTE)  # what is known for a second is read anew
        await api.ask("delete from lane")
