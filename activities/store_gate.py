"""Before a purchase whose answer is the picture itself: see that it could be kept, and that memory has room for it.

The answer of a synchronous provider exists nowhere else. While the store is away it can only be held in memory, so
nothing is bought then, and of what is under way there is never more than memory can hold.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from db.columns import now
from errors import StorageError
from storage.base import ObjectStorage
from storage.write_probe import WriteProbe

LOOK_AGAIN_S = 1.0


class StoreGate:
    """At most `at_once` purchases pass at the same time, and none while the store takes no writes."""

    def __init__(self, storage: ObjectStorage, *, at_once: int) -> None:
        self._probe = WriteProbe(storage)
        self._room = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def passed(self, until: datetime) -> AsyncIterator[None]:
        """Run the block, which buys and keeps, when the store takes writes.

        Raises TimeoutError when there was no room up to `until`, StorageError when the store took no writes up to then.
        """
        async with asyncio.timeout(max(0.0, (until - now()) / timedelta(seconds=1))):
            await self._room.acquire()
        try:
            await self._wait_for_the_store(until)
            yield
        finally:
            self._room.release()

    async def _wait_for_the_store(self, until: datetime) -> None:
        while (trouble := await self._probe.trouble()) is not None:
            if now() >= until or not trouble.retryable:
                raise _anew(trouble)
            await asyncio.sleep(LOOK_AGAIN_S * random.uniform(0.8, 1.2))


def _anew(trouble: StorageError) -> StorageError:
    """An error of one's own: the same one raised in many tasks would gather all their tracebacks."""
    return type(trouble)(trouble.detail, **trouble.facts)
