"""A tenant's webhook receiver: a real HTTP server in this process that verifies what comes, and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

REASONS = {204: "No Content", 302: "Found", 410: "Gone", 429: "Too Many Requests", 500: "Oops"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    def verify(self, secret: str) -> None:
        """Raises WebhookVerificationError."""
        Webhook(secret).verify(self.body, self.headers)


@dataclass(slots=True)
class HookReceiver:
    """Answers 204, or the next of `statuses` while there are any; `hold` keeps it from answering at all."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    answer_headers: list[str] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: list[Arrived] = field(default_factory=list)
    _new: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.hold.set()

    @property
    def host_and_port(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "hook") -> str:
        return f"http://{self.host_and_port}/{path}"

    def at(self, path: str) -> list[Arrived]:
        return [one for one in self.arrived if one.path == f"/{path}"]

    async def until(self, count: int, path: str = "hook", *, within_s: float = 150) -> list[Arrived]:
        """The POSTs to this path as soon as there are so many."""
        async with asyncio.timeout(within_s), self._new:
            await self._new.wait_for(lambda: len(self.at(path)) >= count)
        return self.at(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _, _ = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        async with self._new:
            self.arrived.append(Arrived(first.split(" ")[1], headers, body))
            self._new.notify_all()
        await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        answer = [f"HTTP/1.1 {status} {REASONS.get(status, 'X')}", "Content-Length: 0", *self.answer_headers, "", ""]
        writer.write("\r\n".join(answer).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def hook_receiver() -> AsyncIterator[HookReceiver]:
    """A running receiver."""
    receiver = HookReceiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.close()
