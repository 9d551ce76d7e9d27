"""Bodies of objects: bytes as a stream, a stream as bytes, and a stream that proves what it carries."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from hashlib import sha256 as new_sha256

from errors import StorageError
from storage.base import ObjectStorage

CHUNK_BYTES = 256 * 1024


async def chunks_of(body: bytes) -> AsyncGenerator[bytes]:
    """A body that is in memory already, in chunks of 256 KiB."""
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


async def read_whole(storage: ObjectStorage, key: str, *, max_bytes: int) -> bytes:
    """An object's bytes in memory. ObjectMissing; StorageError when it has more than `max_bytes` bytes."""
    body = bytearray()
    async with aclosing(await storage.get(key)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > max_bytes:
                raise StorageError("the stored object is larger than expected", max_bytes=max_bytes)
    return bytes(body)


async def proven(chunks: AsyncIterator[bytes], *, size_bytes: int, sha256: str) -> AsyncGenerator[bytes]:
    """The same bytes; the last chunk is let go only when size and hash are right, else StorageError.

    A store that was told the size and never sees the end keeps nothing, so a wrong body needs no deleting afterwards.
    """
    digest, size, held = new_sha256(), 0, b""
    async for chunk in chunks:
        if not chunk:
            continue
        digest.update(chunk)
        size += len(chunk)
        if size > size_bytes:
            break
        if held:
            yield held
        held = chunk
    if size != size_bytes:
        raise StorageError("the body does not have the promised size", promised_bytes=size_bytes, got_bytes=size)
    if digest.hexdigest() != sha256:
        raise StorageError("the body does not have the promised hash", promised_sha256=sha256)
    if held:
        yield held
