"""Writing down what the engine has: one UPDATE for all starts of a moment, not one each."""

import asyncio
from uuid import UUID

import structlog

from db import deliveries, generations
from db.engine import Database
from engine.starts import DeliveryStart, GenerationStart, Start
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

EVERY_S = 0.05


class DispatchMarks:
    """Starts that the engine has, and whose rows do not say so yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._generations: dict[str, tuple[UUID, int]] = {}
        self._deliveries: dict[str, tuple[UUID, int]] = {}

    def note(self, start: Start) -> None:
        """The engine has this one."""
        if isinstance(start, GenerationStart):
            self._generations[start.key] = (start.generation_id, start.run)
        elif isinstance(start, DeliveryStart):
            self._deliveries[start.key] = (start.given.delivery_id, start.given.run)

    def has(self, start: Start) -> bool:
        """Whether it was started, and its row does not say so yet."""
        return start.key in self._generations or start.key in self._deliveries

    async def write_forever(self) -> None:
        """Write, again and again, until canceled; what could not be written now is written later."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.write()
            except DatabaseUnavailable:
                log.warning("mark.postponed", count=len(self._generations) + len(self._deliveries))
            except Exception:
                log.exception("mark.broken")

    async def write(self) -> None:
        """Write all down. Raises DatabaseUnavailable."""
        if begun := dict(self._generations):
            async with self._database.statement("generation.dispatched") as session:
                await generations.mark_dispatched(session, list(begun.values()))
            _forget(self._generations, begun)
        if sent := dict(self._deliveries):
            async with self._database.transaction("delivery.dispatched") as session:
                await deliveries.mark_dispatched(session, list(sent.values()))
            _forget(self._deliveries, sent)


def _forget(noted: dict[str, tuple[UUID, int]], written: dict[str, tuple[UUID, int]]) -> None:
    for key in written:
        noted.pop(key, None)
