"""Headers by which browsers keep to what an answer is for; every answer has them, errors and preflights too."""

from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

DAY_S: Final = 86_400
# Answers are data: nothing of them is to be run, framed or fetched from. Pages of ours send a policy of their own.
NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),  # for browsers that do not know frame-ancestors
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", NOTHING.encode()),
)
# Answers under /v1 belong to one key: they hold prompts, links that need no key, new keys. A route that knows better says so.
OURS: Final = "/v1/"
UNKEPT: Final[Header] = (b"cache-control", b"no-store")


class SecurityHeaders:
    """ASGI middleware, the outermost one. What an answer says itself stays.

    `hsts_days`: for so long browsers are to use https alone; 0: they are not told so.
    """

    def __init__(self, app: ASGIApp, *, hsts_days: int = 0) -> None:
        self._app = app
        https = ((b"strict-transport-security", b"max-age=%d" % (hsts_days * DAY_S)),) if hsts_days else ()
        self._always = ALWAYS + https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted: Sequence[Header] = (*self._always, UNKEPT) if scope["path"].startswith(OURS) else self._always

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                headers += [header for header in wanted if header[0] not in said]
            await send(message)

        await self._app(scope, receive, send_guarded)
