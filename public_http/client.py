"""Single requests to places that clients name: no redirects, no cookies, no proxies, no connection kept."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpcore
import httpx

from errors import HostUnreachable
from public_http.backend import CheckedBackend
from public_http.places import PublicPlaces

Header = tuple[bytes, bytes]
Response = httpcore.Response
USER_AGENT = (b"User-Agent", b"diorama")


class PublicHttp:
    """Sends requests to checked places. The caller sets the time limit, with asyncio.timeout round everything."""

    def __init__(self, places: PublicPlaces) -> None:
        self.places = places
        # httpcore itself and not an httpx client: no cookies, no proxies from the environment, no decoding of bodies.
        # No connection is kept, so that every request resolves and checks anew.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=CheckedBackend(places),
        )

    @asynccontextmanager
    async def stream(
        self, method: str, url: httpx.URL, headers: Sequence[Header], content: bytes | None = None
    ) -> AsyncIterator[Response]:
        """The answer with its body still to be read; `url` comes from `places.url`. A redirect is an answer like others.

        Raises UrlForbidden, and HostUnreachable for whatever keeps an answer from coming, also inside of the block.
        """
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        sent = [(b"Host", url.netloc), USER_AGENT, *headers]
        try:
            async with self._pool.stream(method, target, headers=sent, content=content) as response:
                yield response
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise HostUnreachable from error

    async def close(self) -> None:
        """Give connections back."""
        await self._pool.aclose()
