"""The object store's twin in memory: the same contract without a server, for tests and for play."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from urllib.parse import quote, urlencode

from errors import ObjectMissing
from storage.base import NewObject, StoredObject
from storage.bodies import chunks_of, proven
from storage.limits import check_expiry, check_key, check_range


class MemoryStorage:
    """Objects in a dict; gone with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[StoredObject, bytes]] = {}

    async def prepare(self) -> None:
        """Nothing to make."""

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        """See ObjectStorage."""
        async with aclosing(proven(chunks, size_bytes=size_bytes, sha256=new.sha256)) as checked:
            body = b"".join([chunk async for chunk in checked])
        stored = StoredObject(
            key=new.key,
            size_bytes=size_bytes,
            etag=md5(body, usedforsecurity=False).hexdigest(),
            content_type=new.content_type,
            modified_at=datetime.now(UTC).replace(microsecond=0),
            sha256=new.sha256,
            metadata=dict(new.metadata),
            tags=dict(new.tags),
        )
        self._objects[new.key] = (stored, body)
        return stored

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See ObjectStorage."""
        check_range(start, length)
        _, body = self._find(key)
        return chunks_of(body[start:] if length is None else body[start : start + length])

    async def stat(self, key: str) -> StoredObject:
        """See ObjectStorage."""
        return self._find(key)[0]

    async def delete(self, key: str) -> None:
        """See ObjectStorage."""
        check_key(key)
        self._objects.pop(key, None)

    async def presigned_get(self, key: str, *, expires: timedelta, filename: str | None = None) -> str:
        """A `memory:` URL: it shows what a real one would carry, and opens nothing."""
        check_key(key)
        check_expiry(expires)
        query = {"expires": int(expires.total_seconds())} | ({"filename": filename} if filename else {})
        return f"memory:///{quote(key)}?{urlencode(query)}"

    async def list_prefix(self, prefix: str, *, after: str = "") -> AsyncGenerator[StoredObject]:
        """See ObjectStorage."""
        for key in sorted(self._objects, key=str.encode):
            if key.startswith(prefix) and key.encode() > after.encode() and key in self._objects:
                yield replace(self._objects[key][0], content_type="", sha256=None, metadata={}, tags={})

    async def close(self) -> None:
        """Nothing to give back."""

    def _find(self, key: str) -> tuple[StoredObject, bytes]:
        check_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectMissing(key=key) from None
