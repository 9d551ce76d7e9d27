"""Making the bucket at start, also when the store comes up later than the API."""

import asyncio
from contextlib import AbstractAsyncContextManager

import structlog

from background import in_background
from errors import StorageError
from storage.base import ObjectStorage

log = structlog.get_logger(__name__)

RETRY_S = 1.0


class StorePreparation:
    """Prepares the store in the background; `is_done` says whether pictures can be stored."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self.is_done = False

    def running(self) -> AbstractAsyncContextManager[None]:
        """Try until it is done or the block ends."""
        return in_background(self._prepare(), name="prepare-store")

    async def _prepare(self) -> None:
        while not self.is_done:
            try:
                await self._storage.prepare()
                self.is_done = True
            except StorageError as error:
                log.warning("store.not_ready", code=error.code)
                await asyncio.sleep(RETRY_S)
