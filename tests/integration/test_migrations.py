"""The migrations and the tables say the same, and can be applied by two processes at once."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from db import migrate
from db.tables import METADATA


async def test_migrations_make_exactly_the_tables_of_the_models(postgres_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_a_migrated_database_is_at_the_newest_revision(postgres_url: str) -> None:
    current, newest = await migrate.revisions(postgres_url)

    assert current == newest is not None


async def test_migrating_twice_at_once_is_harmless(postgres_url: str) -> None:
    await asyncio.gather(migrate.upgrade(postgres_url), migrate.upgrade(postgres_url))

    current, newest = await migrate.revisions(postgres_url)
    assert current == newest
