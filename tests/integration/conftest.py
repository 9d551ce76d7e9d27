"""Real servers for integration tests: started once, on free ports, in their own folder, and ended with the tests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Text, cast, func, update
from sqlmodel import col

from db import keys
from db.engine import Database
from db.models import Spend
from deploy.local import LocalStack, StackOptions
from tests.integration.patience import PATIENT


@dataclass(frozen=True)
class Tables:
    """A migrated database, and a tenant in it."""

    url: str
    database: Database
    tenant_id: UUID


@pytest.fixture(scope="session")
async def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("postgres")
    services = frozenset({"postgres", "migrations"})
    async with LocalStack(folder, services=services, options=StackOptions(fsync=False)) as stack:
        yield stack.environment()["DIORAMA_DATABASE_URL"]


@pytest.fixture
async def tables(postgres_url: str) -> AsyncIterator[Tables]:
    database = Database(postgres_url, patience=PATIENT)
    key = keys.new_key()
    async with database.transaction() as session:
        tenant_id = await keys.ensure_key(session, key, pepper="pepper", tenant_name=key)
    yield Tables(postgres_url, database, tenant_id)
    mine = [col(Spend.tenant_id) == tenant_id, col(Spend.provider_job_id).is_not(None)]
    async with database.transaction() as session:  # a job belongs to one purchase, and tests name theirs alike
        names = func.left(Spend.provider_job_id, 60) + "/" + func.left(cast(Spend.id, Text), 36)
        await session.exec(update(Spend).where(*mine).values(provider_job_id=names))
    await database.close()
