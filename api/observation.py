"""What every request leaves behind: an id, one log line, two figures. Never keys, prompts or query strings."""

import re
import secrets
import time

import structlog
from anyio import BrokenResourceError
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answer_headers import added_headers
from api.metrics import Metrics
from api.problems import unexpected_problem

log = structlog.get_logger(__name__)

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})


def _request_id(scope: Scope) -> str:
    """The client's own id when it is harmless, so that its logs and ours can be joined; else a fresh one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode("ascii") if _GIVEN_ID.fullmatch(given) else secrets.token_hex(16)


def _route(scope: Scope) -> str:
    """The route's template, so that ids do not become labels."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _is_hang_up(error: Exception) -> bool:
    """Whether a client left in the middle of a stream: FastAPI then stumbles over its own pipe between two of its tasks."""
    return isinstance(error, ExceptionGroup) and error.split(BrokenResourceError)[1] is None


class Observation:
    """ASGI middleware: request id, access log, metrics, and a problem document for what nobody foresaw."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; websockets and the lifespan pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._observe(scope, receive, send)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["request_id"] = _request_id(scope)
        began = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), *added_headers(scope)]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if isinstance(error, ClientDisconnect) or (status and _is_hang_up(error)):
                return  # before the request was read, or in the middle of the answer: nobody is there to be answered
            log.exception("request.broken")
            if status:
                raise  # the answer has begun: all that is left is to cut the connection
            await unexpected_problem(Request(scope))(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.requests.labels(scope["method"], route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if route not in QUIET_ROUTES:
            ms = round(seconds * 1000, 1)
            log.info("request", method=scope["method"], route=route, status=status, ms=ms)
