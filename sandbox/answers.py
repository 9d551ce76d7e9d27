"""What the sandbox sends back: a status, headers and bytes, or nothing at all."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope, Send

from sandbox.connections import drop_connection
from sandbox.json_text import encode

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
HTML: Final = "text/html; charset=UTF-8"


@dataclass(slots=True)
class Answer:
    """A response. With `chunks` the body is streamed; `cut_after` drops the connection after so many bytes of `body`."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    chunks: AsyncIterator[bytes] | None = None
    cut_after: int | None = None

    async def send(self, scope: Scope, send: Send) -> None:
        """Write it to the connection."""
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        headers.append((b"content-type", self.media_type.encode()))
        if self.chunks is None or self.body:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.cut_after is not None:
            await send({"type": "http.response.body", "body": self.body[: self.cut_after], "more_body": True})
            await drop_connection(scope)
            return
        if self.chunks is None:
            await send({"type": "http.response.body", "body": self.body})
            return
        async for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A value as JSON."""
    return Answer(status, encode(value), headers=dict(headers or {}))


def gateway_page(status: int) -> Answer:
    """An error page as the network in front of a provider makes it: HTML, not JSON."""
    title = {502: "Bad gateway", 503: "Service temporarily unavailable", 504: "Gateway time-out"}.get(status, "Error")
    page = f"<!DOCTYPE html><html><head><title>{status}: {title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, page.encode(), HTML, {"cf-ray": "8cd71cc4fc3906a9-SJC", "server": "cloudflare"})
