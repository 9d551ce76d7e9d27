"""Connections to PostgreSQL, and how its failures are called in our words."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from db.refusals import refusal_in
from errors import DatabaseUnavailable
from fault_points import Reach, pass_by

# SQLSTATE classes: connection exception, insufficient resources (too many connections, disk full), shut down by an
# operator, a fault of the server's own system; and the end of a session that was silent inside a transaction.
# Two transactions that met badly (a deadlock, a failed serialization) count, too: the same again will go through.
AWAY = ("08", "53", "57P", "58", "25P03", "40001", "40P01")
# SQLAlchemy's own set-up of a new connection lets the driver's errors through as they are.
LOST_WHILE_SET_UP = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError)
# A paused process must not keep its row locks for ever: nothing of ours thinks inside a transaction for so long.
SILENT_IN_TRANSACTION_MS = 20_000


@dataclass(frozen=True, slots=True)
class DatabasePatience:
    """How long PostgreSQL may take until it counts as away, seconds.

    `connect_s`: until a new connection is there; `pool_s`: until one of the pool is free; `command_s`: until a statement
    is answered.
    """

    connect_s: float = 5.0
    pool_s: float = 10.0
    command_s: float = 10.0


# For processes that answer people, who had better be told soon to come again.
IMPATIENT = DatabasePatience(connect_s=3.0, pool_s=3.0, command_s=4.0)


@contextmanager
def _told_in_our_words() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError, *LOST_WHILE_SET_UP) as error:
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith(AWAY):
            raise DatabaseUnavailable from error
        if refusal := refusal_in(error):
            raise refusal from None
        raise


def _replace_what_was_closed(connection: Any, _record: object, _proxy: object) -> None:
    """A connection that the server ended while it lay in the pool is made anew before anybody meets it: costs nothing."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _give_up_what_hangs(context: ExceptionContext) -> None:
    """A command without an answer: its connection is cut at once, where a roll-back would wait as long again.

    The others of the pool are made anew as they are used: a server that is gone without a word answers none of them.
    """
    connection = context.connection
    if not isinstance(context.original_exception, TimeoutError) or connection is None or connection.invalidated:
        return
    context.is_disconnect = True
    driver: Any = connection.connection.driver_connection
    driver.terminate()


class Database:
    """A pool of connections; one `transaction()` per request or activity step, committed at its edge.

    A transaction that changes something has a name: NAME:before and NAME:after its commit are fault points.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 20,
        application_name: str = "diorama",
        patience: DatabasePatience | None = None,
        session_settings: Mapping[str, str] | None = None,
        reach: Reach = pass_by,
    ) -> None:
        patience = patience or DatabasePatience()
        self.url = url
        self._reach = reach
        self._engine: AsyncEngine = create_async_engine(
            url,
            # No overflow: a connection that is opened for one transaction and closed again costs 2 ms of CPU here, and
            # the start of a process there.
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=patience.pool_s,
            # A message of SQLAlchemy's would show what was to be written, prompts among it.
            hide_parameters=True,
            connect_args={
                "timeout": patience.connect_s,
                "command_timeout": patience.command_s,
                "server_settings": {
                    "application_name": application_name,
                    "jit": "off",
                    "idle_in_transaction_session_timeout": str(SILENT_IN_TRANSACTION_MS),
                    **(session_settings or {}),
                },
            },
        )
        event.listen(self._engine.sync_engine, "checkout", _replace_what_was_closed)
        event.listen(self._engine.sync_engine, "handle_error", _give_up_what_hangs)
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

    async def fetch_row(self, query: str, *values: Any) -> asyncpg.Record:
        """The row of a statement of the driver's own (`$1`), which commits by itself: half of the CPU of `statement`.

        Raises as above.
        """
        with _told_in_our_words():
            async with self._committing.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                try:
                    return await driver.fetchrow(query, *values)
                except asyncpg.PostgresError as error:
                    if str(error.sqlstate).startswith(AWAY):
                        raise DatabaseUnavailable from error
                    raise
                except BaseException:  # a time-out or a cancellation: nobody is to meet what may still hang
                    driver.terminate()
                    await connection.invalidate()
                    raise

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()
