"""A real HTTP server on loopback that answers by a script, and remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from commands.connection import Connection

CUT = b""
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def answer(status: int, body: object, *headers: str) -> bytes:
    text = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode() + text


def content(body: bytes) -> bytes:
    """200 with these bytes."""
    return f"HTTP/1.1 200 X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def frame(seq: int, kind: str, **data: object) -> bytes:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


@dataclass
class Script:
    """Gives one answer per connection, and remembers what was asked. CUT hangs up without a word."""

    port: int = 0
    answers: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = self.header(head, "content-length")
        self.bodies.append(await reader.readexactly(int(length or 0)))
        self.asked.append(head)
        writer.write(self.answers.pop(0))
        await writer.drain()
        writer.close()

    @staticmethod
    def header(head: str, name: str) -> str | None:
        lines = (line.partition(": ") for line in head.split("\r\n"))
        return next((value for key, _, value in lines if key.lower() == name), None)

    def asked_with(self, name: str) -> list[str | None]:
        return [self.header(head, name) for head in self.asked]

    @property
    def connection(self) -> Connection:
        return Connection(f"http://127.0.0.1:{self.port}", "dio_key")


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Script]:
    """The server, on a free port."""
    script = Script(answers=[*answers])
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    async with server:
        yield script
