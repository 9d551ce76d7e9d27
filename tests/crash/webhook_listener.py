"""Where the lab's tenant is told of its generations' ends; it refuses some messages once, and those of one path always."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256

REFUSES_ONE_IN = 8
BROKEN = "broken"


@dataclass(slots=True)
class WebhookListener:
    """`heard` counts the messages by their webhook-id, those that were refused among them."""

    port: int = 0
    heard: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)

    @property
    def host_and_port(self) -> str:
        """As the worker is told to trust it."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """An address of it."""
        return f"http://{self.host_and_port}/{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path, headers = head.split(" ", 2)[1], _headers(head)
            await reader.readexactly(int(headers.get("content-length", "0")))
            status = "200 OK" if self._accepts(path, headers.get("webhook-id", "")) else "500 Not today"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def _accepts(self, path: str, message: str) -> bool:
        self.heard[message] += 1
        unlucky = sha256(message.encode()).digest()[0] % REFUSES_ONE_IN == 0
        if BROKEN in path or (unlucky and self.heard[message] == 1):
            return False
        self.accepted.add(message)
        return True


def _headers(head: str) -> dict[str, str]:
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


@asynccontextmanager
async def webhook_listener() -> AsyncIterator[WebhookListener]:
    """A running listener."""
    listener = WebhookListener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener
