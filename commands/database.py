"""The database, for commands that need no server: reached, or a clear word why not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from commands.troubles import DatabaseAway
from config import Settings
from db.engine import Database
from db.migrate import revisions
from errors import ConfigurationError, DatabaseUnavailable

CONNECT_S = 10.0


@asynccontextmanager
async def reachable(url: str) -> AsyncIterator[None]:
    """Use the database inside. Raises DatabaseAway, and ConfigurationError when it refuses us."""
    parts = urlsplit(url)
    where = f"the database at {parts.hostname}:{parts.port or 5432}{parts.path}"
    try:
        async with asyncio.timeout(CONNECT_S):
            yield
    except (OSError, TimeoutError, DatabaseUnavailable) as trouble:
        raise DatabaseAway(f"No answer from {where}.") from trouble
    except SQLAlchemyError as trouble:
        first_line = str(trouble).partition("\n")[0]
        raise ConfigurationError(f"{where[0].upper()}{where[1:]} refuses: {first_line}") from trouble


@asynccontextmanager
async def migrated_database(settings: Settings) -> AsyncIterator[Database]:
    """A connection to a database with the newest schema. Raises DatabaseAway, ConfigurationError."""
    url = settings.database_url
    async with reachable(url):
        current, newest = await revisions(url)
        if current != newest:
            raise ConfigurationError("The database lacks migrations: run `diorama migrate`.")
        database = Database(url, pool_size=1, application_name="diorama-cli")
        try:
            yield database
        finally:
            await database.close()
