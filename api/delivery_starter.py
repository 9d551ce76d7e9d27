"""Starting the workflows of deliveries: woken when an event is to be delivered, and every few seconds in any case."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager, suppress

import structlog

from api.dispatcher import Dispatcher
from background import in_background
from contracts.names import CHANNEL_DELIVERY
from db import deliveries
from db.engine import Database
from db.listener import Listener
from engine.starts import DeliveryStart
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

EVERY_S = 3.0
LIMIT = 500
GAP_S = 0.1  # between two looks, so that a burst of ends is one look, and what was started is marked before the next


class DeliveryStarter:
    """Finds deliveries that wait to be started, whoever made them, and hands them to the dispatcher."""

    def __init__(self, database: Database, listener: Listener, dispatcher: Dispatcher) -> None:
        self._database = database
        self._listener = listener
        self._dispatcher = dispatcher

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look and start until the block ends."""
        return in_background(self._look_forever(), name="delivery-starter")

    async def _look_forever(self) -> None:
        with self._listener.subscribe(CHANNEL_DELIVERY) as woken:
            while True:
                woken.clear()
                try:
                    await self._look()
                except DatabaseUnavailable:
                    log.warning("deliveries.postponed")
                except Exception:
                    log.exception("deliveries.broken")
                await asyncio.sleep(GAP_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S * random.uniform(0.8, 1.2)):
                        await woken.wait()

    async def _look(self) -> None:
        async with self._database.transaction() as session:
            waiting = await deliveries.undispatched(session, limit=LIMIT)
        for delivery in waiting:
            self._dispatcher.start_soon(DeliveryStart.of(delivery))
