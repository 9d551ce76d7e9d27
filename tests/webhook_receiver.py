"""A real HTTP server in this process that takes webhooks and answers as it is told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class WebhookReceiver:
    """Answers 200, or the next of `statuses` while there are any."""

    url: str
    statuses: list[int] = field(default_factory=list)
    received: "asyncio.Queue[Received]" = field(default_factory=asyncio.Queue)

    async def next(self, timeout_s: float = 60.0) -> Received:
        """The next webhook. Raises TimeoutError."""
        return await asyncio.wait_for(self.received.get(), timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.put_nowait(Received(scope["path"], headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    """A running receiver."""
    listener = socket.create_server(("127.0.0.1", 0))
    receiver = WebhookReceiver(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = _QuietServer(uvicorn.Config(receiver, lifespan="off", log_level="warning", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        yield receiver
    finally:
        server.should_exit = True
        await task


class _QuietServer(uvicorn.Server):
    """Tells when it listens, and leaves the signals to the test run."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
