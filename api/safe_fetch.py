"""Fetching pictures from URLs that clients give, without being made to read from private places (SSRF).

A name is resolved once, every one of its addresses is checked, and the connection goes to a checked address, so that a name
that changes its answer (DNS rebinding) gains nothing. Redirects are followed by hand and checked like the first URL.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import httpcore
import httpx

from api.public_addresses import is_public
from errors import ImageTooLarge, ImageUnreachable, ImageUrlForbidden, ServiceUnavailable

MAX_BYTES = 20_000_000
TOTAL_S = 10.0  # the client waits for it inside its POST
MAX_REDIRECTS = 3
MAX_ADDRESSES_TRIED = 3
HEADERS = (
    (b"Accept", b"image/png,image/jpeg,image/webp"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"diorama"),
)

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. OSError when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses on port 443, and to the `host:port` pairs that the operator trusts."""

    def __init__(self, trusted: frozenset[str], resolve_host: Resolve = resolve) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._trusted = trusted
        self._resolve = resolve_host

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's checked addresses. Raises ImageUrlForbidden, ImageUnreachable."""
        for address in (await self._addresses(host, port))[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise ImageUnreachable

    async def _addresses(self, host: str, port: int) -> list[str]:
        trusted = f"{host}:{port}" in self._trusted
        if port != 443 and not trusted:
            raise ImageUrlForbidden(f"Port {port} is not allowed.")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ImageUnreachable("The host name could not be resolved.") from error
        # One private answer spoils the name: which of several is used must not be the attacker's choice.
        if not trusted and not all(is_public(address) for address in addresses):
            raise ImageUrlForbidden("The host is not on the public internet.")
        return addresses

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise ImageUrlForbidden

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks."""
        await self._inner.sleep(seconds)


class SafeFetcher:
    """Reads pictures from https URLs on public hosts, and from trusted `host:port` pairs over http too."""

    def __init__(self, trusted: frozenset[str], *, resolve_host: Resolve = resolve, at_once: int = 16) -> None:
        self._trusted = trusted
        self._slots = asyncio.Semaphore(at_once)  # bounds memory: each may hold MAX_BYTES
        # httpcore itself and not an httpx client: no cookies, no proxies from the environment, no decoding of bodies.
        # No connection is kept, so that every fetch resolves and checks anew.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_keepalive_connections=0,
            network_backend=CheckedBackend(trusted, resolve_host),
        )

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL.

        Raises ImageUrlForbidden, ImageUnreachable, ImageTooLarge; ServiceUnavailable when too many are fetched already.
        """
        first = self._checked(url)
        async with self._slot():
            try:
                async with asyncio.timeout(TOTAL_S):
                    return await self._follow(first)
            except TimeoutError:
                raise ImageUnreachable(f"The image URL did not deliver the picture within {TOTAL_S:.0f} s.") from None
            except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
                raise ImageUnreachable from error

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
        await self._pool.aclose()

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(url)
            if isinstance(answer, bytes):
                return answer
            url = self._checked(answer, base=url)
        raise ImageUnreachable("The image URL redirects too often.")

    async def _get(self, url: httpx.URL) -> bytes | str:
        """The body, or where the answer redirects to."""
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [*HEADERS, (b"Host", url.netloc)]
        async with self._pool.stream("GET", target, headers=headers) as response:
            found = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in {301, 302, 303, 307, 308} and b"location" in found:
                return found[b"location"]
            if response.status != 200:
                raise ImageUnreachable(f"The image URL answered with status {response.status}.")
            if found.get(b"content-encoding", "identity") != "identity":
                raise ImageUnreachable("The image URL answered with a compressed body.")
            return await _bounded(response.aiter_stream(), found.get(b"content-length", ""))

    def _checked(self, text: str, *, base: httpx.URL | None = None) -> httpx.URL:
        try:
            url = base.join(text) if base else httpx.URL(text)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise ImageUrlForbidden("The image URL is not a valid URL.") from None
        port = url.port or {"https": 443, "http": 80}.get(url.scheme)
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise ImageUrlForbidden
        if url.scheme == "http" and f"{url.raw_host.decode('ascii')}:{port}" not in self._trusted:
            raise ImageUrlForbidden("The image URL must start with https://.")
        return url


async def _bounded(chunks: AsyncIterable[bytes], declared: str) -> bytes:
    if declared.isdecimal() and int(declared[:20]) > MAX_BYTES:
        raise ImageTooLarge(f"The image has more than {MAX_BYTES} bytes.")
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            raise ImageTooLarge(f"The image has more than {MAX_BYTES} bytes.")
    return bytes(body)
