"""The house, opened once for all tests of failover."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from contracts.names import SEARCH_ATTRIBUTES
from db import keys
from db.engine import Database
from temporal_client import connect, ensure_search_attributes
from tests.acceptance.fresh_standings import all_stand_well
from tests.integration.conftest import Tables
from tests.integration.failover.house import House, open_house
from tests.integration.patience import PATIENT
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.temporal_servers import dev_server


@pytest.fixture(scope="session")
async def own_tables(postgres_url: str) -> AsyncIterator[Tables]:
    database = Database(postgres_url, pool_size=30, patience=PATIENT)
    async with database.transaction() as session:
        tenant_id = await keys.ensure_key(session, keys.new_key(), pepper="pepper", tenant_name="failover")
    yield Tables(postgres_url, database, tenant_id)
    await all_stand_well(database)
    await database.close()


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[Client]:
    """A real one: the server that skips time loses what happens in real time beside it."""
    async with dev_server() as environment:
        client = await connect(environment.client.service_client.config.target_host)
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        yield client


@pytest.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("failover")) as server:
        yield server


@pytest.fixture(scope="session")
async def house(own_tables: Tables, engine: Client, sandbox: SandboxServer) -> AsyncIterator[House]:
    async with open_house(own_tables, engine, sandbox) as opened:
        yield opened


@pytest.fixture
async def guarded(house: House) -> AsyncIterator[House]:
    """The house with its gate in use, and everybody standing well."""
    await all_stand_well(house.tables.database)
    house.gate.is_in_use = True
    yield house
    house.gate.is_in_use = False
    await all_stand_well(house.tables.database)


@pytest.fixture
def a_patient_replicate(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a purchase takes long to be accepted; those that are given up as too slow move its breaker."""
    monkeypatch.setattr(house.providers["replicate"], "submit_timeout_s", 60.0)
