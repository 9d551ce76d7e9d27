"""Connections to PostgreSQL, and how its failures are called in our words."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from errors import DatabaseUnavailable
from fault_points import Reach, pass_by

# SQLSTATE classes: connection exception, insufficient resources (too many connections), shut down by an operator.
AWAY = ("08", "53", "57P")


@contextmanager
def _told_in_our_words() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith(AWAY):
            raise DatabaseUnavailable from error
        raise


class Database:
    """A pool of connections; one `transaction()` per request or activity step, committed at its edge.

    A transaction that changes something has a name: NAME:before and NAME:after its commit are fault points.
    """

    def __init__(
        self, url: str, *, pool_size: int = 20, application_name: str = "diorama", reach: Reach = pass_by
    ) -> None:
        self.url = url
        self._reach = reach
        self._engine: AsyncEngine = create_async_engine(
            url,
            # No overflow: a connection that is opened for one transaction and closed again costs 2 ms of CPU here, and
            # the start of a process there.
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=10,
            connect_args={
                "timeout": 5,
                "command_timeout": 20,
                "server_settings": {"application_name": application_name, "jit": "off"},
            },
        )
        self._committing = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self, name: str = "") -> AsyncIterator[AsyncSession]:
        """A session whose work is committed when the block ends well. Raises DatabaseUnavailable when it is away."""
        with _told_in_our_words():
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
                if name:
                    self._reach(f"{name}:before")
        if name:
            self._reach(f"{name}:after")

    @asynccontextmanager
    async def statement(self, name: str = "") -> AsyncIterator[AsyncSession]:
        """A session for exactly one statement, which commits by itself: a third of the round trips. Raises as above."""
        if name:
            self._reach(f"{name}:before")
        with _told_in_our_words():
            async with AsyncSession(self._committing, expire_on_commit=False) as session:
                yield session
        if name:
            self._reach(f"{name}:after")

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()
