"""JSON bodies read strictly: bounded, real JSON, real text; whatever a client sends gives a 4xx, never a 500."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException

MAX_JSON_BYTES = 64 * 1024  # the longest valid request is about 5 kB


def check_declared(request: Request, max_bytes: int) -> None:
    """Raises HTTPException 413 when the client says that its body has more than `max_bytes` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise HTTPException(413, f"The body may have at most {max_bytes} bytes.")


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """The body, of at most `max_bytes` bytes. Raises HTTPException 413, before reading when the client says how long."""
    check_declared(request, max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"The body may have at most {max_bytes} bytes.")
    return bytes(body)


class StrictJsonRequest(Request):
    """A request whose JSON is parsed by pydantic's parser.

    It refuses what Python's takes: NaN, lone surrogates, endless nesting, numbers of thousands of digits.
    """

    _bounded: bytes | None = None

    async def body(self) -> bytes:
        """The body, of at most MAX_JSON_BYTES bytes."""
        if self._bounded is None:
            self._bounded = await read_bounded(Request(self.scope, self.receive), MAX_JSON_BYTES)
        return self._bounded

    async def json(self) -> Any:
        """The parsed body. Raises HTTPException 400 when it is not JSON."""
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise HTTPException(400, f"The body is not valid JSON: {error}") from None


class StrictJsonRoute(APIRoute):
    """A route that takes `application/json` and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a request that reads strictly."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if takes_body and media_type != "application/json":
                raise HTTPException(415, "Send the body as application/json.")
            return await handle(StrictJsonRequest(request.scope, request.receive))

        return handle_strictly
