"""Connections to PostgreSQL, and how its failures are called in our words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from errors import DatabaseUnavailable

# SQLSTATE classes: connection exception, insufficient resources (too many connections), shut down by an operator.
AWAY = ("08", "53", "57P")


class Database:
    """A pool of connections; one `transaction()` per request or activity step, committed at its edge."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "diorama") -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            connect_args={
                "timeout": 5,
                "command_timeout": 20,
                "server_settings": {"application_name": application_name, "jit": "off"},
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed when the block ends well. Raises DatabaseUnavailable when it is away."""
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
            raise DatabaseUnavailable from error
        except DBAPIError as error:
            if error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith(AWAY):
                raise DatabaseUnavailable from error
            raise

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()
