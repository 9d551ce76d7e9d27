"""Real servers, an API in front of them, and tenants who have one of everything."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from pydantic import SecretStr

from config import Settings
from errors import DatabaseUnavailable
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant
from tests.integration.isolation.belongings import TRACED, Belongings, belongings
from tests.integration.real_servers import api_in_front, real_servers


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    sealing = SecretStr(f"one:{b64encode(bytes(32)).decode()}")
    async with real_servers(tmp_path_factory.mktemp("isolation"), credential_keys=sealing) as settings:
        yield settings


@pytest.fixture(scope="session")
async def api(servers: Settings) -> AsyncIterator[RunningApi]:
    async with api_in_front(servers) as api:
        yield api


@pytest.fixture(scope="session")
async def everybody(api: RunningApi) -> AsyncIterator[AsyncExitStack]:
    """Tenants that stay until the end."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
async def attacker(api: RunningApi, everybody: AsyncExitStack) -> Belongings:
    tenant = await everybody.enter_async_context(new_tenant(api))
    await everybody.enter_async_context(_ended(tenant))
    return await belongings(tenant)


@pytest.fixture(scope="session")
async def victim(api: RunningApi, everybody: AsyncExitStack, attacker: Belongings) -> Belongings:
    """Younger than the attacker, so that a cursor of the victim's leads to the attacker's own rows."""
    assert attacker.tenant.api is api
    return await belongings(await everybody.enter_async_context(new_tenant(api)), cost=TRACED)


@pytest.fixture(scope="session")
async def operator(api: RunningApi, everybody: AsyncExitStack) -> Belongings:
    return await belongings(await everybody.enter_async_context(new_tenant(api, operator=True)))


@pytest.fixture
async def owner(api: RunningApi) -> AsyncIterator[Belongings]:
    """A tenant of this test's own, whose things it may use up."""
    async with new_tenant(api) as tenant:
        mine = await belongings(tenant)
        async with _ended(tenant):
            yield mine


@asynccontextmanager
async def _ended(tenant: Tenant) -> AsyncIterator[None]:
    """A worker's part: what is asked for in OpenAI's form fails at once, since its caller waits for its end."""
    waiting = """
        select g.id from generation g join compatible_call c
        on c.tenant_id = g.tenant_id and c.idempotency_key = g.idempotency_key
        where g.tenant_id = :id and g.status in ('queued', 'running')
    """
    failure = {"code": "provider_unavailable", "detail": "It is away.", "facts": {}}

    async def work() -> None:
        while True:
            # While tests without a loop run, PostgreSQL loses patience with a transaction that this one has open.
            with suppress(DatabaseUnavailable):
                for row in await tenant.api.ask(waiting, id=tenant.id):
                    await tenant.finish(str(row.id), "failed", error=failure)
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
