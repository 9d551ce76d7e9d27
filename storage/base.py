"""The seam to the object store: a Protocol, and how keys are built."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from storage.limits import check_content_type, check_key, check_metadata, check_sha256, check_tags

EXTENSIONS = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg", "application/octet-stream": "bin"}

# Keys name their content by hash, so what a key holds never changes.
CACHE_CONTROL = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store knows about an object; `size_bytes` in bytes, `etag` as the store gives it, without quotes."""

    key: str
    size_bytes: int
    etag: str
    content_type: str  # empty in listings
    modified_at: datetime
    sha256: str | None = None  # None in listings, and for objects that something else wrote
    metadata: Mapping[str, str] = field(default_factory=dict)  # empty in listings
    tags: Mapping[str, str] = field(default_factory=dict)  # filled by put and stat


@dataclass(frozen=True, slots=True)
class NewObject:
    """How an object is to be written; metadata and tags are short ASCII words (generation, step, model, prompt hash).

    `sha256` is that of the whole body, in hex: it rides in the request's head, so that the store itself refuses a body
    that was damaged on its way. ValueError when a field is not what S3 takes (see `storage.limits`).
    """

    key: str
    content_type: str
    sha256: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_key(self.key)
        check_content_type(self.content_type)
        check_sha256(self.sha256)
        check_metadata(self.metadata)
        check_tags(self.tags)


class ObjectStorage(Protocol):
    """Objects by key. Every method raises StorageUnavailable when the store does not answer, ValueError on a bad key.

    `put` replaces what is there. A put that fails leaves no object, or the whole one when only the answer was lost; never
    a part, never other bytes than promised. It deletes nothing: another attempt may have put the same key meanwhile.
    """

    async def prepare(self) -> None:
        """Make the bucket, if it is not there yet, and see that strangers cannot read it. Harmless at the same time twice."""

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        """Stream `size_bytes` bytes in, hashing on the way.

        StorageFull when there is no room, StorageError when size or hash is not as promised; what `chunks` raises comes out.
        """

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Stream an object's bytes, or `length` of them from `start` on; what lies beyond the end is left out.

        ObjectMissing, at once, when there is none. StorageUnavailable when the stream breaks.
        """

    async def stat(self, key: str) -> StoredObject:
        """What is known about an object. ObjectMissing when there is none."""

    async def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is fine."""

    async def presigned_get(self, key: str, *, expires: timedelta, filename: str | None = None) -> str:
        """A URL that reads the object without credentials until it expires (1 second to 7 days).

        With `filename` a browser saves it under that name. It is not checked whether the object is there.
        """

    def list_prefix(self, prefix: str, *, after: str = "") -> AsyncGenerator[StoredObject]:
        """All objects whose key starts with `prefix` and comes after the key `after`, in the order of the keys' UTF-8 bytes."""

    async def close(self) -> None:
        """Give connections back."""


def object_key(tenant_id: UUID, generation_id: UUID, step: str, sha256: str, content_type: str) -> str:
    """`{tenant}/{generation}/{step}-{sha256[:16]}.{ext}`: the same bytes of the same step always have the same key."""
    return f"{tenant_id}/{generation_id}/{step}-{sha256[:16]}.{EXTENSIONS[content_type]}"
