"""How long, and how much, a client may take to send a body: so that nobody holds a place by sending slowly, or without end."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# A mobile network may be silent for some seconds; who says nothing for longer is not sending.
SILENCE_S: Final = 20.0
# The largest body at 450 kB/s; most routes have a smaller limit, and some a shorter time.
TOTAL_S: Final = 300.0
# Routes have limits of their own, which are smaller. This one holds where one of them has none.
LARGEST: Final = 129 * 1024 * 1024


class BodyPatience:
    """ASGI middleware: a body that comes too slowly is refused with 408, one beyond all limits with 413."""

    def __init__(self, app: ASGIApp, *, silence_s: float = SILENCE_S, total_s: float = TOTAL_S) -> None:
        self._app = app
        self._silence_s = silence_s
        self._total_s = total_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; what has no body passes through."""
        has_body = scope["type"] == "http" and scope["method"] not in WITHOUT_BODY
        await self._app(scope, self._bounded(receive) if has_body else receive, send)

    def _bounded(self, receive: Receive) -> Receive:
        clock = asyncio.get_running_loop().time
        until = clock() + self._total_s
        left, is_whole = LARGEST, False

        async def receive_bounded() -> Message:
            nonlocal left, is_whole
            if is_whole:  # what comes now is the end of the connection, which may be long in coming
                return await receive()
            try:
                async with asyncio.timeout_at(min(clock() + self._silence_s, until)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body did not arrive in time.", {"Connection": "close"}) from None
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"The body may have at most {LARGEST} bytes.")
            is_whole = not message.get("more_body", False)
            return message

        return receive_bounded
