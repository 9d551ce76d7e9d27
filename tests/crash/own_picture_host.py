"""A host with one picture, for clients that bring their own; whoever fetches it may be killed meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.integration.api.running_api import png


@dataclass(frozen=True, slots=True)
class OwnPictureHost:
    """Where it listens."""

    port: int

    @property
    def host_and_port(self) -> str:
        """As the API is told to trust it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The picture."""
        return f"http://{self.host_and_port}/me.png"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = png()
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def own_picture_host() -> AsyncIterator[OwnPictureHost]:
    """A running host."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with server:
        yield OwnPictureHost(server.sockets[0].getsockname()[1])
