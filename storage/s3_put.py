"""One signed PUT: the only S3 call that miniopy-async cannot make as we need it.

Its `put_object` gathers the body in memory, hashes it in a thread, and cuts more than 5 MiB into a multipart upload,
whose parts stay behind when a process dies. Ours streams in a single request, signed with the hash that the caller
promised: the store itself refuses other bytes, and a body that ends early leaves nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlunsplit

from aiohttp import ClientResponse, ClientSession
from miniopy_async.credentials.credentials import Credentials
from miniopy_async.helpers import BaseURL
from miniopy_async.signer import sign_v4_s3
from miniopy_async.time import to_amz_date
from yarl import URL

from storage.base import CACHE_CONTROL, NewObject, StoredObject
from storage.bodies import proven
from storage.s3_errors import in_our_words, put_refusal


class _Source:
    """A stream that remembers what it died of: the HTTP client shows only that the connection ended."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest
        self.failure: Exception | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Read by a task of the HTTP client, which alone may close it: it can outlive a canceled put by a moment."""
        yield self._first
        try:
            async for chunk in self._rest:
                yield chunk
        except Exception as error:
            self.failure = error
            raise


class S3Put:
    """Writes objects into one bucket, each within `within_s` seconds: a store that takes no bytes any more is away."""

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, bucket: str, region: str, *, within_s: float
    ) -> None:
        self._base_url = BaseURL(endpoint, region)
        self._credentials = Credentials(access_key, secret_key)
        self._bucket = bucket
        self._region = region
        self._within_s = within_s

    async def send(
        self, session: ClientSession, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int
    ) -> StoredObject:
        """See ObjectStorage.put."""
        checked = proven(chunks, size_bytes=size_bytes, sha256=new.sha256)
        first = await anext(checked, b"")
        source = _Source(first, checked)
        body: bytes | AsyncIterator[bytes]
        if len(first) == size_bytes:  # one chunk, whole and proven: it goes out in one write together with the head
            await checked.aclose()
            body = first
        else:
            body = source.chunks()
        try:
            with in_our_words(new.key):
                async with asyncio.timeout(self._within_s):
                    return await self._send(session, new, body, size_bytes)
        except Exception:
            if source.failure is not None:
                raise source.failure from None
            raise

    async def _send(
        self, session: ClientSession, new: NewObject, body: bytes | AsyncIterator[bytes], size_bytes: int
    ) -> StoredObject:
        url = self._base_url.build("PUT", self._region, bucket_name=self._bucket, object_name=new.key)
        now = datetime.now(UTC)
        headers = _headers(new, size_bytes) | {"Host": url.netloc, "x-amz-date": to_amz_date(now)}
        signed = sign_v4_s3("PUT", url, self._region, headers, self._credentials, new.sha256, now)
        async with session.put(URL(urlunsplit(url), encoded=True), data=body, headers=signed) as response:
            if response.status != 200:
                raise await put_refusal(response, new.key)
            return _stored(new, size_bytes, response)


def _headers(new: NewObject, size_bytes: int) -> dict[str, str]:
    headers = {
        "Content-Length": str(size_bytes),
        "Content-Type": new.content_type,
        "Cache-Control": CACHE_CONTROL,
        "x-amz-content-sha256": new.sha256,
        "x-amz-meta-sha256": new.sha256,
    }
    headers |= {f"x-amz-meta-{name}": value for name, value in new.metadata.items()}
    if new.tags:
        headers["x-amz-tagging"] = urlencode(new.tags)
    return headers


def _stored(new: NewObject, size_bytes: int, response: ClientResponse) -> StoredObject:
    return StoredObject(
        key=new.key,
        size_bytes=size_bytes,
        etag=response.headers.get("ETag", "").strip('"'),
        content_type=new.content_type,
        modified_at=parsedate_to_datetime(response.headers["Date"]),  # the store's clock: a PUT names no Last-Modified
        sha256=new.sha256,
        metadata=dict(new.metadata),
        tags=dict(new.tags),
    )
