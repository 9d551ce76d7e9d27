"""Where a URL from a client may lead: https on public hosts, and the `host:port` pairs that the operator trusts."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import httpx

from errors import HostUnreachable, UrlForbidden
from public_http.addresses import is_public

LOOK_UP_S = 3.0  # for a check ahead of time; whoever connects has a limit of their own
PORTS = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. OSError when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PublicPlaces:
    """The rules; `trusted` holds `host:port` pairs that may be private, and may be spoken to over http."""

    def __init__(self, trusted: frozenset[str], resolve_host: Resolve = resolve) -> None:
        self._trusted = trusted
        self._resolve = resolve_host

    def url(self, text: str, *, base: httpx.URL | None = None) -> httpx.URL:
        """The URL, whose form is fine; its host was not looked up. Raises UrlForbidden."""
        try:
            url = base.join(text) if base else httpx.URL(text)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise UrlForbidden("The URL is not a valid URL.") from None
        if url.scheme not in PORTS or not url.host or url.userinfo:
            raise UrlForbidden
        if url.scheme == "http" and f"{url.raw_host.decode('ascii')}:{url.port or PORTS['http']}" not in self._trusted:
            raise UrlForbidden("The URL must start with https://.")
        return url

    async def addresses(self, host: str, port: int) -> list[str]:
        """The host's addresses, to connect to one of exactly these. Raises UrlForbidden, HostUnreachable."""
        trusted = f"{host}:{port}" in self._trusted
        if port != PORTS["https"] and not trusted:
            raise UrlForbidden(f"Port {port} is not allowed.")
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise HostUnreachable("The host name could not be resolved.") from error
        # One private answer spoils the name: which of several is used must not be the attacker's choice.
        if not trusted and not all(is_public(address) for address in found):
            raise UrlForbidden("The host is not on the public internet.")
        return found

    async def check(self, text: str) -> None:
        """Refuse what can be known to be forbidden before anything is sent there. Raises UrlForbidden.

        A name that nobody knows yet passes: each connection looks it up, and checks, again.
        """
        url = self.url(text)
        with contextlib.suppress(HostUnreachable, TimeoutError):
            async with asyncio.timeout(LOOK_UP_S):
                await self.addresses(url.raw_host.decode("ascii"), url.port or PORTS[url.scheme])
