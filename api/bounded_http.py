"""The server's HTTP protocol with limits that uvicorn has not: how large the head of a request may be, and how long it may take."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# Method, URL and all headers. A key, a long Link cursor and a proxy's headers take about 2 kB.
LARGEST_HEAD: Final = 32 * 1024
# A connection that says nothing, one that spells its headers out slowly, and one that goes on with a body which was answered already
# holds a file descriptor for no longer.
HEAD_WITHIN_S: Final = 15.0


class _HeadTooLarge(Exception):
    """Raised out of the parser, which ends the request."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, which reads heads and trailers of any size, for ever, and whatever follows an early answer.

    Too large a head is answered with 431, too slow a one with 408, and the connection is closed: its rest cannot be told from
    the next request. Trailers are held to the same size and are no headers to anybody; what comes after an answer to a request
    that was not whole yet is held to the same time.
    """

    head_within_s = HEAD_WITHIN_S

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._is_in_head = True
        self._is_too_large = False
        self._has_moved_on = False
        self._impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own is
        """A client has connected: its first request is to come."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._calm_down()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More bytes of a request. The parser keeps an unfinished header or trailer to itself, so what is no body is counted here."""
        self._has_moved_on = False
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # refused, or a WebSocket by now
            return
        self._head_bytes = 0 if self._has_moved_on else self._head_bytes + len(data)
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._impatience is None and getattr(
            self.cycle, "response_complete", False
        ):  # there is none before the first
            # The rest of a request that was answered early. Its first byte ended uvicorn's own timer, and nobody reads it.
            self._impatience = self.loop.call_later(self.head_within_s, self._lose_patience)

    def on_message_begin(self) -> None:
        """A request begins, the first of its connection or a further one."""
        super().on_message_begin()
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: that goes no further, for it would stand among the headers, which others have looked at."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole. Raises _HeadTooLarge, also when it came with the body in one piece."""
        self._calm_down()
        self._is_too_large = len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD
        if self._is_too_large:
            raise _HeadTooLarge
        self._is_in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._has_moved_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._has_moved_on = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser gave up on; here, perhaps, for its size."""
        self._calm_down()
        if self._is_too_large:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _begin_head(self) -> None:
        self._calm_down()
        self._head_bytes, self._is_in_head = 0, True
        self._impatience = self.loop.call_later(self.head_within_s, self._lose_patience)

    def _calm_down(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _lose_patience(self) -> None:
        if self.transport.is_closing():
            return
        if self._head_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:  # it never said anything: browsers open such connections in advance; or its request has been answered
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self._calm_down()
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        # Else this answer would stand in the middle of another one, or be a second one to the same request.
        if self._is_in_head and (cycle is None or cycle.response_complete):
            told = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(told.encode("ascii"))
        self.transport.close()
