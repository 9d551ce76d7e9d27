"""What the reconciler works with, all of it real but the store: a database for each test, an engine, the sandbox providers."""

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from temporalio.client import Client

from contracts.names import SEARCH_ATTRIBUTES
from db import keys, migrate
from db.engine import Database
from temporal_client import connect, ensure_search_attributes
from tests.integration.conftest import Tables
from tests.integration.patience import PATIENT
from tests.integration.reconciler.yard import Yard, opened_yard
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.temporal_servers import dev_server

TEMPLATE = "reconciler_template"


def _sibling(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def _ask_server(url: str, statement: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> str:
    await _ask_server(postgres_url, f'create database "{TEMPLATE}"')
    await migrate.upgrade(_sibling(postgres_url, TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
async def tables(postgres_url: str, template: str, numbers: Iterator[int]) -> AsyncIterator[Tables]:
    """A database of the test's own: the reconciler looks at all rows, whoever made them."""
    name = f"reconciler_{next(numbers)}"
    await _ask_server(postgres_url, f'create database "{name}" template "{template}"')
    url = _sibling(postgres_url, name)
    database = Database(url, pool_size=5, patience=PATIENT)
    async with database.transaction() as session:
        tenant_id = await keys.ensure_key(session, keys.new_key(), pepper="pepper", tenant_name="tenant")
    yield Tables(url, database, tenant_id)
    await database.close()


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[Client]:
    """An engine of its own: a real server, because only that knows schedules and says how a run ended."""
    async with dev_server() as environment:
        client = await connect(environment.client.service_client.config.target_host)
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        yield client


@pytest.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("reconciler")) as server:
        yield server


@pytest.fixture
async def yard(tables: Tables, engine: Client, sandbox: SandboxServer) -> AsyncIterator[Yard]:
    await sandbox.disarm()
    await sandbox.reset()
    async with opened_yard(tables, engine, sandbox) as opened:
        yield opened
