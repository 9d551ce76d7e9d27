"""Fetching pictures from URLs that clients give, without being made to read from private places (SSRF).

Redirects are followed by hand and checked like the first URL.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import httpx

from errors import HostUnreachable, ImageTooLarge, ImageUnreachable, ImageUrlForbidden, ServiceUnavailable, UrlForbidden
from public_http.client import PublicHttp
from public_http.places import PublicPlaces, Resolve, resolve

MAX_BYTES = 20_000_000
TOTAL_S = 10.0  # the client waits for it inside its POST
MAX_REDIRECTS = 3
HEADERS = ((b"Accept", b"image/png,image/jpeg,image/webp"), (b"Accept-Encoding", b"identity"))


class SafeFetcher:
    """Reads pictures from https URLs on public hosts, and from trusted `host:port` pairs over http too."""

    def __init__(self, trusted: frozenset[str], *, resolve_host: Resolve = resolve, at_once: int = 16) -> None:
        self._slots = asyncio.Semaphore(at_once)  # bounds memory: each may hold MAX_BYTES
        self._http = PublicHttp(PublicPlaces(trusted, resolve_host))

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL.

        Raises ImageUrlForbidden, ImageUnreachable, ImageTooLarge; ServiceUnavailable when too many are fetched already.
        """
        try:
            first = self._http.places.url(url)
            async with self._slot(), asyncio.timeout(TOTAL_S):
                return await self._follow(first)
        except UrlForbidden as error:
            raise ImageUrlForbidden(error.detail) from error
        except HostUnreachable as error:
            raise ImageUnreachable from error
        except TimeoutError:
            raise ImageUnreachable(f"The image URL did not deliver the picture within {TOTAL_S:.0f} s.") from None

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TOTAL_S):
                await self._slots.acquire()
        except TimeoutError:
            raise ServiceUnavailable from None
        try:
            yield
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Give connections back."""
        await self._http.close()

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(url)
            if isinstance(answer, bytes):
                return answer
            url = self._http.places.url(answer, base=url)
        raise ImageUnreachable("The image URL redirects too often.")

    async def _get(self, url: httpx.URL) -> bytes | str:
        """The body, or where the answer redirects to."""
        async with self._http.stream("GET", url, HEADERS) as response:
            found = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in {301, 302, 303, 307, 308} and b"location" in found:
                return found[b"location"]
            if response.status != 200:
                raise ImageUnreachable(f"The image URL answered with status {response.status}.")
            if found.get(b"content-encoding", "identity") != "identity":
                raise ImageUnreachable("The image URL answered with a compressed body.")
            return await _bounded(response.aiter_stream(), found.get(b"content-length", ""))


async def _bounded(chunks: AsyncIterable[bytes], declared: str) -> bytes:
    if declared.isdecimal() and int(declared[:20]) > MAX_BYTES:
        raise ImageTooLarge(f"The image has more than {MAX_BYTES} bytes.")
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            raise ImageTooLarge(f"The image has more than {MAX_BYTES} bytes.")
    return bytes(body)
