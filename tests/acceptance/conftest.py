"""The whole product as its users run it: one local stack for all acceptance tests, in its own folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from db.engine import Database, DatabasePatience
from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from deploy.stack_state import load_secrets
from storage.minio_storage import MinioStorage
from tests.acceptance.client import PATIENCE_S, Diorama
from tests.acceptance.fresh_standings import all_stand_well
from tests.fresh_connections import FRESH
from tests.hook_receiver import HookReceiver, hook_receiver


@pytest.fixture(scope="session")
async def hooks() -> AsyncIterator[HookReceiver]:
    """A receiver of webhooks, which the stack trusts although it is on this machine."""
    async with hook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
async def stack(
    tmp_path_factory: pytest.TempPathFactory, hooks: HookReceiver, spawn: Spawn
) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("stack")
    # A purchase whose answer was lost is proved absent after the longest that its POST may last: here that need not be half
    # a minute.
    settings = {"DIORAMA_WEBHOOK_HOSTS": hooks.host_and_port, "DIORAMA_REPLICATE_SUBMIT_TIMEOUT_S": "10"}
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3, settings=settings)
    async with LocalStack(folder, options=options, spawn=spawn) as stack:
        yield stack


@pytest.fixture
async def diorama(stack: LocalStack) -> AsyncIterator[Diorama]:
    """A client; when the test is over, everything it started must be accounted for."""
    environment = stack.environment()
    secrets = load_secrets(stack.root)
    assert secrets is not None
    addresses = stack.addresses()
    storage = MinioStorage(
        environment["DIORAMA_STORE_ENDPOINT"],
        environment["DIORAMA_STORE_ACCESS_KEY"],
        environment["DIORAMA_STORE_SECRET_KEY"],
        environment["DIORAMA_STORE_BUCKET"],
    )
    patience = DatabasePatience(connect_s=PATIENCE_S, pool_s=PATIENCE_S, command_s=PATIENCE_S)
    database = Database(environment["DIORAMA_DATABASE_URL"], patience=patience)
    headers = {"Authorization": f"Bearer {secrets.bootstrap_api_key}"}
    async with (
        closing_all(storage, database),
        httpx.AsyncClient(base_url=addresses.api_url, headers=headers, timeout=PATIENCE_S, limits=FRESH) as http,
        httpx.AsyncClient(base_url=addresses.sandbox_url, timeout=PATIENCE_S, limits=FRESH) as sandbox,
    ):
        client = Diorama(stack, http, sandbox, database, storage)
        await client.set_sandbox_right()
        await all_stand_well(database)
        try:
            yield client
            await client.audit()
        finally:
            await client.wind_sandbox_back()


@asynccontextmanager
async def closing_all(*opened: MinioStorage | Database) -> AsyncIterator[None]:
    """Close these when the block ends, also when an audit fails: a warning of theirs would fail another test."""
    try:
        yield
    finally:
        for one in opened:
            await one.close()
