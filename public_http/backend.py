"""Connections for httpcore that go to checked addresses only."""

from collections.abc import Iterable

import httpcore

from errors import HostUnreachable, UrlForbidden
from public_http.places import PublicPlaces

MAX_ADDRESSES_TRIED = 3


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once and connects to what was checked: a name that changes its answer (DNS rebinding) gains nothing."""

    def __init__(self, places: PublicPlaces) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._places = places

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's checked addresses. Raises UrlForbidden, HostUnreachable."""
        for address in (await self._places.addresses(host, port))[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise HostUnreachable

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise UrlForbidden

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks."""
        await self._inner.sleep(seconds)
