"""Objects in MinIO, or in any store that speaks S3, by miniopy-async."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from miniopy_async.api import Minio
from miniopy_async.datatypes import Object
from miniopy_async.error import S3Error
from miniopy_async.helpers import BaseURL, DictType

from errors import ConfigurationError
from storage.base import NewObject, StoredObject
from storage.limits import check_expiry, check_key, check_range
from storage.s3_errors import in_our_words
from storage.s3_put import S3Put

CHUNK_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 5  # a store that takes longer to accept a connection is as good as away
ALREADY_THERE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
NO_POLICY_TO_SEE = frozenset({"NoSuchBucketPolicy", "AccessDenied", "NotImplemented", "MethodNotAllowed"})


class MinioStorage:
    """One bucket of an S3 store.

    Nothing is tried twice here: Temporal retries the activity, where people can see it, and the answer to a client of the
    API must not be late. `public_url` is where clients reach the store, when that is not `endpoint`; URLs are signed for
    it. A store that is silent for `silence_s` seconds is away, and so is one that takes longer than `put_s` for a whole put;
    reading may take as long as the reader needs. ConfigurationError when an address is not `http(s)://host[:port]`.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        *,
        public_url: str | None = None,
        max_connections: int = 64,
        region: str = "us-east-1",
        silence_s: float = 30,
        put_s: float = 60,
    ) -> None:
        _check_address(endpoint)
        _check_address(public_url or endpoint)
        url = urlsplit(endpoint)
        self._client = Minio(
            url.netloc,
            access_key,
            secret_key,
            secure=url.scheme == "https",
            region=region,  # given, so that the client does not ask for it before the first call
            server_url=public_url,
        )
        self._s3_put = S3Put(endpoint, access_key, secret_key, bucket, region, within_s=put_s)
        self._bucket = bucket
        self._max_connections = max_connections
        # `connect` counts the wait for one of the connections too, which others may hold for as long as they read.
        self._timeout = ClientTimeout(
            total=None, connect=silence_s, sock_connect=min(CONNECT_TIMEOUT_S, silence_s), sock_read=silence_s
        )
        self._session: ClientSession | None = None

    async def prepare(self) -> None:
        """See ObjectStorage."""
        client = self._connected()
        with in_our_words():
            if not await client.bucket_exists(self._bucket):
                try:
                    await client.make_bucket(self._bucket)
                except S3Error as error:  # another process was faster
                    if error.code not in ALREADY_THERE:
                        raise
            await self._forbid_strangers(client)

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        """See ObjectStorage. One request, whatever the size; a body of one chunk is proven before anything is sent."""
        return await self._s3_put.send(self._connections(), new, chunks, size_bytes)

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See ObjectStorage."""
        check_key(key)
        check_range(start, length)
        stream = self._read(key, start, length)
        await anext(
            stream
        )  # to the answer's head: a missing object shows here, and the loop closes a started generator
        return stream

    async def stat(self, key: str) -> StoredObject:
        """See ObjectStorage. A second request only when the object has tags."""
        check_key(key)
        client = self._connected()
        with in_our_words(key):
            found = await client.stat_object(self._bucket, key)
            headers: Any = found.metadata  # the answer's headers, case-insensitive
            tagged = headers.get("x-amz-tagging-count", "0") != "0"
            tags = await client.get_object_tags(self._bucket, key) if tagged else None
        metadata = {
            name.lower().removeprefix("x-amz-meta-"): value
            for name, value in headers.items()
            if name.lower().startswith("x-amz-meta-")
        }
        return StoredObject(
            key=key,
            size_bytes=found.size or 0,
            etag=found.etag or "",
            content_type=found.content_type or "",
            modified_at=found.last_modified or datetime.now(UTC),
            sha256=metadata.pop("sha256", None),
            metadata=metadata,
            tags=dict(tags or {}),
        )

    async def delete(self, key: str) -> None:
        """See ObjectStorage."""
        check_key(key)
        with in_our_words(key):
            await self._connected().remove_object(self._bucket, key)

    async def presigned_get(self, key: str, *, expires: timedelta, filename: str | None = None) -> str:
        """See ObjectStorage. Computed here, without asking the store."""
        check_key(key)
        check_expiry(expires)
        headers: DictType | None = {"response-content-disposition": _saved_as(filename)} if filename else None
        url: str = await self._client.presigned_get_object(self._bucket, key, expires, response_headers=headers)
        return url

    async def list_prefix(self, prefix: str, *, after: str = "") -> AsyncGenerator[StoredObject]:
        """See ObjectStorage. Read in pages of 1000."""
        start_after: str | None = after or None
        if not after.startswith(prefix):  # some stores refuse that
            if after.encode() > prefix.encode():
                return  # all keys with the prefix come before
            start_after = None
        with in_our_words():
            listing = self._connected().list_objects(
                self._bucket, prefix=prefix, recursive=True, start_after=start_after
            )
            async for found in listing:
                key = found.object_name or ""
                if not key.endswith("/"):  # an empty folder of a gateway over a file system
                    yield _listed(key, found)

    async def close(self) -> None:
        """See ObjectStorage. The next call would connect anew."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _connections(self) -> ClientSession:
        """They belong to the running loop, so they are made at the first call and not in the constructor."""
        if self._session is None:
            connector = TCPConnector(limit=self._max_connections)
            self._session = ClientSession(connector=connector, timeout=self._timeout)
        return self._session

    def _connected(self) -> Minio:
        self._client.set_session(self._connections())
        return self._client

    async def _read(self, key: str, start: int, length: int | None) -> AsyncGenerator[bytes]:
        """Yields nothing (an empty chunk) once the answer is there, then the bytes."""
        with in_our_words(key):
            try:
                response = await self._connected().get_object(self._bucket, key, start, length or 0)
            except S3Error as error:
                if error.code != "InvalidRange":  # the range starts at the end or beyond it
                    raise
                yield b""
                return
            async with response:
                yield b""
                if length == 0:
                    return
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    yield chunk

    async def _forbid_strangers(self, client: Minio) -> None:
        """Takes away a policy that lets everybody in; without any policy a bucket is private."""
        try:
            policy = json.loads(await client.get_bucket_policy(self._bucket))
        except S3Error as error:
            if error.code not in NO_POLICY_TO_SEE:
                raise
            return
        if any(_for_everybody(statement) for statement in policy.get("Statement", [])):
            await client.delete_bucket_policy(self._bucket)


def _check_address(address: str) -> None:
    try:
        BaseURL(address, None)
    except ValueError as error:
        raise ConfigurationError(f"the picture store's address must be http(s)://host[:port]: {error}") from error
    if not urlsplit(address).hostname:
        raise ConfigurationError("the picture store's address must be http(s)://host[:port]: it has no host")


def _for_everybody(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    return statement.get("Effect") == "Allow" and (principal == "*" or "*" in (principal or ()))


def _listed(key: str, found: Object) -> StoredObject:
    return StoredObject(
        key=key,
        size_bytes=found.size or 0,
        etag=found.etag or "",
        content_type="",
        modified_at=found.last_modified or datetime.now(UTC),
    )


def _saved_as(filename: str) -> str:
    """Content-Disposition by RFC 6266: a plain name for old browsers, the real one for all others."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\/' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
