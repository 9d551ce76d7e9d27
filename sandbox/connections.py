"""A HTTP protocol for uvicorn that lets the application drop a connection, which ASGI itself cannot."""

import asyncio
import socket
import struct
from typing import Any, Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TRANSPORT: Final = "sandbox.transport"


class DroppableHttp(HttpToolsProtocol):
    """Puts the connection's transport into the scope of each of its requests."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[_TRANSPORT] = self.transport


async def drop_connection(scope: Scope, *, reset: bool = False) -> None:
    """Close the request's connection without another byte; `reset` makes the peer see a TCP reset instead of an end."""
    transport: asyncio.Transport = scope[_TRANSPORT]
    raw = transport.get_extra_info("socket")
    if reset and raw is not None:
        # A zero linger time turns the close into a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # The loop reports the lost connection to uvicorn in its next rounds; until then uvicorn would try to answer with a 500.
    for _ in range(3):
        await asyncio.sleep(0)
