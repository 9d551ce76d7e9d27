"""The whole product as its users run it: one local stack for all acceptance tests, in its own folder."""

from collections.abc import AsyncIterator

import httpx
import pytest

from db.engine import Database
from deploy.local import LocalStack, StackOptions
from deploy.stack_state import load_secrets
from storage.minio_storage import MinioStorage
from tests.acceptance.client import Diorama


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("stack")
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3)
    async with LocalStack(folder, options=options) as stack:
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
    database = Database(environment["DIORAMA_DATABASE_URL"])
    async with (
        httpx.AsyncClient(
            base_url=addresses.api_url, headers={"Authorization": f"Bearer {secrets.bootstrap_api_key}"}, timeout=60
        ) as http,
        httpx.AsyncClient(base_url=addresses.sandbox_url, timeout=30) as sandbox,
    ):
        unlimited = {"creates_per_minute": None, "reads_per_minute": None, "duration_s": 0.3, "drawing": "fast"}
        (await sandbox.delete("/admin/faults")).raise_for_status()
        (await sandbox.post("/admin/settings", json=unlimited)).raise_for_status()
        client = Diorama(stack, http, sandbox, database, storage)
        yield client
        await client.audit()
    await storage.close()
    await database.close()
