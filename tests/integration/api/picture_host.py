"""A small host of pictures and of things that only look like pictures."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.integration.api.running_api import png

PRIVATE = "http://169.254.169.254/latest/meta-data"


def bomb() -> bytes:
    """A PNG that says 60000x60000: 75 bytes that would become 10 GB."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@dataclass
class PictureHost:
    """Answers by path; `asked` lists the paths in order."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def host_and_port(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host_and_port}/{path}"

    def answer(self, path: str) -> tuple[str, list[str], bytes]:
        bodies = {
            "me.png": png(),
            "page.html": b"<html>not a picture</html>",
            "bomb.png": bomb(),
            "cut.png": png(400, 400)[:-40],
        }
        redirects = {
            "to-private": PRIVATE,
            "to-me": "/me.png",
            "for-ever": "/for-ever",
            "to-file": "file:///etc/passwd",
        }
        if path in redirects:
            return "302 Found", [f"Location: {redirects[path]}"], b""
        if path == "huge.png":
            return "200 OK", ["Content-Type: image/png", "Content-Length: 30000000"], b"\x89PNG"
        if path == "zipped.png":
            return "200 OK", ["Content-Encoding: gzip"], b"\x1f\x8b"
        if path in bodies:
            return "200 OK", ["Content-Type: image/png"], bodies[path]
        return "404 Not Found", [], b"nothing here"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        path = request.split(b" ")[1].decode().lstrip("/")
        self.asked.append(path)
        status, headers, body = self.answer(path)
        if not any(header.startswith("Content-Length") for header in headers):
            headers.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close"])
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def picture_host() -> AsyncIterator[PictureHost]:
    host = PictureHost()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        yield host
