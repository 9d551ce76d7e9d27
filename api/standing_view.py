"""How providers stand and how much they have to do: read once a second for all requests, not once for each."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from contracts.standing import Standings
from db import live_purchases, standings
from db.engine import Database
from db.live_purchases import Queues
from errors import DatabaseUnavailable

FRESH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ProvidersNow:
    """Standings and queues, read together."""

    standings: Standings
    queues: Queues


class StandingView:
    """Gives what is known of the providers, at most FRESH_S seconds old. Many may ask at once; one of them reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = asyncio.Lock()
        self._known: ProvidersNow | None = None
        self._stale_at = 0.0
        self._away_until = 0.0
        self._changes = 0

    async def now(self) -> ProvidersNow:
        """What is known. Raises DatabaseUnavailable."""
        async with self._reading:
            if self._known is None or time.monotonic() >= self._stale_at:
                self._known = await self._read()
            return self._known

    def forget(self) -> None:
        """Read anew at the next question: this process itself has just changed something."""
        self._changes += 1
        self._stale_at = 0.0

    async def _read(self) -> ProvidersNow:
        if time.monotonic() < self._away_until:  # who waited for the same answer need not wait as long once more
            raise DatabaseUnavailable
        changes = self._changes
        try:
            async with self._database.transaction() as session:
                found = ProvidersNow(await standings.read(session), await live_purchases.read(session))
        except DatabaseUnavailable:
            self._away_until = time.monotonic() + FRESH_S
            raise
        if changes == self._changes:  # else it may be older than the change
            self._stale_at = time.monotonic() + FRESH_S
        return found
