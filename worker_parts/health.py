"""The worker's own small HTTP port: alive, ready, metrics."""

import asyncio
from types import TracebackType
from typing import Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

ANSWER = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"


class HealthServer:
    """Answers GET /healthz, /readyz and /metrics while the block runs; ready while `is_ready` says so."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self.is_ready = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            path = request.split(b" ", 2)[1]
            writer.write(self._page(path))
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, IndexError):
            pass  # not a client that we know how to serve
        finally:
            writer.close()

    def _page(self, path: bytes) -> bytes:
        pages = {b"/healthz": (b"ok", "text/plain"), b"/readyz": (b"ready", "text/plain")}
        if path == b"/readyz" and not self.is_ready:
            return ANSWER.format(status="503 Service Unavailable", kind="text/plain", length=0).encode()
        if path == b"/metrics":
            body, kind = generate_latest(), CONTENT_TYPE_LATEST
        elif path in pages:
            body, kind = pages[path]
        else:
            return ANSWER.format(status="404 Not Found", kind="text/plain", length=0).encode()
        return ANSWER.format(status="200 OK", kind=kind, length=len(body)).encode() + body
