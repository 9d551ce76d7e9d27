"""What a provider said about looking less often, told to all workers: nobody polls it before."""

import random
from datetime import datetime, timedelta

import structlog

from activities.standing_board import StandingBoard
from db import traffic
from db.columns import now
from db.engine import Database
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)


class ReadPauses:
    """Pauses of polling that hold over the whole fleet; holds dependencies only."""

    def __init__(self, database: Database, board: StandingBoard) -> None:
        self._database = database
        self._board = board

    async def begin(self, provider: str, *, for_s: float) -> None:
        """The provider answered a look with 429. Many jobs hear it at the same time; the first one tells all."""
        if await self._left_s(provider) > 0:
            return
        try:
            async with self._database.transaction("standing.changed") as session:
                await traffic.record_reads_busy(session, provider, now() + timedelta(seconds=for_s))
        except DatabaseUnavailable:
            log.warning("standing.not_written")
        self._board.outdate()

    async def over(self, provider: str, *, until: datetime) -> None:
        """Return when the provider may be looked at again, or at that time."""
        while (left_s := await self._left_s(provider)) > 0 and now() < until:
            rest_s = (until - now()) / timedelta(seconds=1)
            # Not all at the same moment.
            await self._board.change(provider, within_s=min(left_s * random.uniform(1.0, 1.2), rest_s))

    async def _left_s(self, provider: str) -> float:
        told = (await self._board.standings()).of(provider).reads_busy_until
        return 0.0 if told is None else (told - now()) / timedelta(seconds=1)
