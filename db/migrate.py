"""Bring the database to the newest schema: `upgrade(url)`, or `python -m db.migrate` for the local stack."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.engine import Database
from db.keys import ensure_key

# Any number will do, as long as every migration takes the same: two processes that start at once migrate one after the other.
MIGRATION_LOCK = 7_305_211


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings without an ini file; the connection goes to migrations/env.py."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.commit()
    try:
        command.upgrade(alembic_config(connection), "head")
        connection.commit()
    finally:
        connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    current = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
    return current, newest


async def upgrade(url: str) -> None:
    """Apply all migrations that are missing; harmless when there are none."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def revisions(url: str) -> tuple[str | None, str | None]:
    """(the revision the database is at, the newest there is); equal when nothing is missing."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_revisions)
    finally:
        await engine.dispose()


async def _main(arguments: Sequence[str]) -> None:
    """`python -m db.migrate [FILE TEXT]`: migrate, put the local stack's key in, then write TEXT to FILE."""
    url = os.environ["DIORAMA_DATABASE_URL"]
    await upgrade(url)
    key = os.environ.get("DIORAMA_BOOTSTRAP_API_KEY")
    if key:
        database = Database(url, pool_size=1)
        async with database.transaction() as session:
            pepper = os.environ["DIORAMA_API_KEY_PEPPER"]
            await ensure_key(session, key, pepper=pepper, tenant_name="local", operator=True)
        await database.close()
    if arguments:
        file, content = arguments
        await asyncio.to_thread(Path(file).write_text, content, "ascii")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
