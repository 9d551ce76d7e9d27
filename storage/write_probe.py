"""Whether the store takes writes now: found out by writing, because a full store still answers everything else."""

import asyncio
import hashlib
import time
from uuid import uuid4

import structlog

from errors import StorageError, StorageUnavailable
from storage.base import NewObject, ObjectStorage
from storage.bodies import CHUNK_BYTES, chunks_of

log = structlog.get_logger(__name__)

# Probes have no rows: one that a killed process left behind is an object without a row, which the reconciler removes.
PREFIX = "probes"
BODY = bytes(CHUNK_BYTES)


class WriteProbe:
    """Puts a small object and deletes it, at most once in `fresh_s` seconds, however many want to know.

    A store that takes longer than `patience_s` seconds counts as away.
    """

    def __init__(self, storage: ObjectStorage, *, fresh_s: float = 2.0, patience_s: float = 3.0) -> None:
        self._storage = storage
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._new = NewObject(
            key=f"{PREFIX}/{uuid4()}",  # a key for each process: another's delete must not meet our put
            content_type="application/octet-stream",
            sha256=hashlib.sha256(BODY).hexdigest(),
        )
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._trouble: StorageError | None = None

    async def trouble(self) -> StorageError | None:
        """Why nothing can be written, or None when it can; at most `fresh_s` seconds old."""
        async with self._asking:
            if time.monotonic() - self._asked_at > self._fresh_s:
                self._trouble = await self._ask()
                self._asked_at = time.monotonic()
            return self._trouble

    async def _ask(self) -> StorageError | None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._storage.put(self._new, chunks_of(BODY), len(BODY))
                await self._storage.delete(self._new.key)
            return None
        except TimeoutError:
            error: StorageError = StorageUnavailable()
        except StorageError as refusal:
            error = refusal
        log.warning("store.takes_no_writes", code=error.code)
        return error
