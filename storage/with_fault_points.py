"""The store with a fault point before and after each change of it; built only in the crash lab."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

from fault_points import Reach
from storage.base import NewObject, ObjectStorage, StoredObject


class StorageWithFaultPoints:
    """Another storage, behind the points `object.put` and `object.delete`."""

    def __init__(self, inner: ObjectStorage, reach: Reach) -> None:
        self._inner = inner
        self._reach = reach

    async def prepare(self) -> None:
        """See ObjectStorage."""
        await self._inner.prepare()

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        """See ObjectStorage."""
        self._reach("object.put:before")
        stored = await self._inner.put(new, chunks, size_bytes)
        self._reach("object.put:after")
        return stored

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See ObjectStorage."""
        return await self._inner.get(key, start=start, length=length)

    async def stat(self, key: str) -> StoredObject:
        """See ObjectStorage."""
        return await self._inner.stat(key)

    async def delete(self, key: str) -> None:
        """See ObjectStorage."""
        self._reach("object.delete:before")
        await self._inner.delete(key)
        self._reach("object.delete:after")

    async def presigned_get(self, key: str, *, expires: timedelta, filename: str | None = None) -> str:
        """See ObjectStorage."""
        return await self._inner.presigned_get(key, expires=expires, filename=filename)

    def list_prefix(self, prefix: str, *, after: str = "") -> AsyncGenerator[StoredObject]:
        """See ObjectStorage."""
        return self._inner.list_prefix(prefix, after=after)

    async def close(self) -> None:
        """See ObjectStorage."""
        await self._inner.close()
