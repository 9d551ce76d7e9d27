"""The codec server: shows people what the engine keeps encrypted, in Temporal's Web UI and command line."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from google.protobuf import json_format
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from api import problems
from api.strict_json import read_bounded
from errors import PayloadUnreadable, Unauthenticated

# A page of a history: the engine itself sends no more than 4 MB in one answer, which base64 makes a third longer.
MAX_BYTES: Final = 8 * 1024 * 1024

Work = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def create_codec_app(codec: PayloadCodec, *, origins: Sequence[str] = (), token: str | None = None) -> FastAPI:
    """`POST /encode` and `POST /decode`, as Temporal's tools call them.

    `origins`: of the Web UI's pages (`http://localhost:8233`). `token`: what callers must show as a bearer token; None: none,
    and then the server must listen where nobody else can reach it.
    """
    app = FastAPI(title="Diorama codec", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    problems.install(app)

    async def worked(request: Request, work: Work) -> Response:
        _check(request, token)
        given = await _payloads(request)
        try:
            answer = Payloads(payloads=await work(given.payloads))
        except PayloadUnreadable as error:
            raise HTTPException(400, error.detail) from None
        # Names as Temporal's tools write them, and nothing kept by a browser: this is what was to stay unread.
        return Response(
            json_format.MessageToJson(answer, indent=None), 200, {"Cache-Control": "no-store"}, "application/json"
        )

    @app.post("/decode")
    async def decode(request: Request) -> Response:
        """The payloads in clear."""
        return await worked(request, codec.decode)

    @app.post("/encode")
    async def encode(request: Request) -> Response:
        """The payloads encrypted, such as the input of a workflow that somebody starts in the Web UI."""
        return await worked(request, codec.encode)

    app.add_middleware(
        CORSMiddleware,
        allow_origins=[*origins],
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
    )
    return app


def _check(request: Request, token: str | None) -> None:
    if token is None:
        return
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(shown.encode(), token.encode()):
        raise Unauthenticated("The codec server wants its token as a bearer token.")


async def _payloads(request: Request) -> Payloads:
    """What a page of another origin may not send without asking first is not read: so a form can decode nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send payloads as application/json.")
    try:
        return json_format.Parse(await read_bounded(request, MAX_BYTES), Payloads())
    except (json_format.ParseError, ValueError):
        raise HTTPException(400, "The body is not {'payloads': [...]} as Temporal's tools send it.") from None
