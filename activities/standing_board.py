"""How providers stand, as this worker knows it: read at most once a second, and at once when something changed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from contracts.names import CHANNEL_STANDING
from contracts.standing import Standings
from db import standings
from db.engine import Database
from db.listener import Listener
from errors import DatabaseUnavailable

# A missed notification costs no more than this.
LONGEST_AGE_S: Final = 1.0
# While somebody asks now and then, the board is read ahead, so that nobody waits for it: a reading takes some milliseconds.
READ_AHEAD_S: Final = 0.9
ASKED_WITHIN_S: Final = 10.0

log = structlog.get_logger(__name__)


class StandingBoard:
    """Standings that are a second old at most; older only while the database is away: nobody waits for it here."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._asked_at = float("-inf")
        self._changed = asyncio.Event()
        self.latest = Standings()

    async def standings(self) -> Standings:
        """How all stand now."""
        self._asked_at = time.monotonic()
        await self._read_when_older(LONGEST_AGE_S)
        return self.latest

    @asynccontextmanager
    async def noticing(self) -> AsyncIterator[None]:
        """Read anew after each notification, and ahead of whoever asks next, while the block runs.

        Without it, standings are read by whoever asks when they are too old.
        """
        with self._listener.subscribe(CHANNEL_STANDING) as changed:
            self._changed = changed
            ahead = asyncio.create_task(self._read_ahead(), name="standings")
            try:
                yield
            finally:
                ahead.cancel()
                await asyncio.wait([ahead])

    def outdate(self) -> None:
        """This very process changed something: whoever asks next reads anew."""
        self._read_at = float("-inf")

    async def change(self, provider: str, *, within_s: float) -> None:
        """Return when the provider's standing changed, or after so many seconds."""
        with self._listener.subscribe(CHANNEL_STANDING, provider) as changed:
            try:
                # Not wait_for: in Python 3.11 it swallows a cancellation that meets the end of what it waits for.
                async with asyncio.timeout(within_s):
                    await changed.wait()
            except TimeoutError:
                return
            self.outdate()  # whoever was told looks at what it was told of, and not at what was read before

    async def _read_when_older(self, age_s: float) -> None:
        async with self._reading:  # many ask at once: one reads
            if self._changed.is_set() or time.monotonic() - self._read_at >= age_s:
                self._changed.clear()  # before reading: what changes meanwhile is read the next time
                await self._read()

    async def _read_ahead(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READ_AHEAD_S):
                    await self._changed.wait()
            if time.monotonic() - self._asked_at < ASKED_WITHIN_S:
                await self._read_when_older(READ_AHEAD_S)
            else:
                await asyncio.sleep(READ_AHEAD_S)

    async def _read(self) -> None:
        try:
            async with self._database.statement() as session:
                self.latest = await standings.read(session)
        except DatabaseUnavailable:
            log.warning("standings.not_read")
        self._read_at = time.monotonic()
