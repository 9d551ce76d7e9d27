"""How long the queue is: counted once a second for all requests, not once for each."""

import asyncio
import time

from db import generations
from db.engine import Database

FRESH_S = 1.0  # at 300 acceptances a second a count for each would cost more than the acceptance itself


class QueueDepth:
    """An estimate of how many generations are ahead of the next one: a count, plus what this process accepted since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted = 0
        self._since = 0
        self._stale_at = 0.0
        self._counting = asyncio.Lock()

    async def ahead(self) -> int:
        """How many accepted generations have not ended; at most FRESH_S seconds old. Raises DatabaseUnavailable."""
        if time.monotonic() >= self._stale_at and not self._counting.locked():
            async with self._counting:
                async with self._database.statement() as session:
                    self._counted = await generations.live_count(session)
                self._since = 0
                self._stale_at = time.monotonic() + FRESH_S
        return self._counted + self._since

    def accepted(self) -> None:
        """One more was accepted by this process."""
        self._since += 1
