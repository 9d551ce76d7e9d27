"""Reading much at once: sums over many rows, all of one moment, on connections that nobody else waits for."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database, DatabasePatience
from errors import InvalidRequest

# Each may keep a core of the server busy.
AT_ONCE: Final = 2
WITHIN_S: Final = 25.0
PATIENCE: Final = DatabasePatience(connect_s=3.0, pool_s=10.0, command_s=WITHIN_S + 5.0)
SETTINGS: Final[Mapping[str, str]] = {
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
}
ENDED_BY_THE_SERVER: Final = "57014"


class Reports:
    """Reads for reports: a few at once, and the others wait for them."""

    def __init__(self, url: str, *, within_s: float = WITHIN_S, patience: DatabasePatience = PATIENCE) -> None:
        """`within_s`: how long a statement may take; `patience` has to have more of it for a command."""
        # Ended by the server: a statement that only we had given up would go on there, and be asked once more here.
        settings = {**SETTINGS, "statement_timeout": f"{within_s * 1000:.0f}"}
        self._within_s = within_s
        self._database = Database(
            url, pool_size=AT_ONCE, application_name="diorama-reports", patience=patience, session_settings=settings
        )

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one moment, whatever is written meanwhile.

        Raises InvalidRequest for what takes too long, DatabaseUnavailable also when those before do.
        """
        try:
            async with self._database.transaction() as session:
                yield session
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != ENDED_BY_THE_SERVER:
                raise
            told = f"Reading this takes longer than {self._within_s:.0f} s: ask for fewer days."
            raise InvalidRequest(told, field="from") from None

    async def close(self) -> None:
        """Give all connections back."""
        await self._database.close()
