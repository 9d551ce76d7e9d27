"""When keys were used last: noted at each use, written at most once a minute for a key, and never waited for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from background import in_background
from db.columns import now
from db.engine import Database
from db.keys import note_uses
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

EVERY_S = 60.0
MOST_NOTED = 10_000


class KeyUse:
    """The uses of keys that are still to be written; what cannot be written is forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, float] = {}
        self._unwritten: dict[str, datetime] = {}
        self._wake = asyncio.Event()

    def note(self, key_id: str) -> None:
        """The key was used just now."""
        ticks = time.monotonic()
        if ticks - self._noted.get(key_id, -EVERY_S) < EVERY_S:
            return
        if len(self._noted) >= MOST_NOTED:
            self._noted.clear()
        self._noted[key_id] = ticks
        self._unwritten[key_id] = now()
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write inside; what is unwritten at the end is written then."""
        try:
            async with in_background(self._write_forever(), name="key-use"):
                yield
        finally:
            await self._write()

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write()

    async def _write(self) -> None:
        uses, self._unwritten = self._unwritten, {}
        if not uses:
            return
        try:
            async with self._database.transaction("key.used") as session:
                await note_uses(session, uses)
        except DatabaseUnavailable:
            log.warning("key_use.forgotten", count=len(uses))
        except Exception:
            log.exception("key_use.broken")
