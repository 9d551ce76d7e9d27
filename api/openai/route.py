"""Routes whose every error has OpenAI's shape."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.openai.errors import INVALID, SERVER, OpenAIError, Refused, told
from errors import DioramaError

log = structlog.get_logger(__name__)

_CODES: Final = {401: "invalid_api_key", 413: "content_too_large", 415: "unsupported_media_type"}


class OpenAIRoute(APIRoute):
    """A route for clients that expect OpenAI's errors; everything that is refused on the way to it is told so, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with errors in OpenAI's shape."""
        handle = super().get_route_handler()

        async def handle_in_their_words(request: Request) -> Response:
            try:
                return await handle(request)
            except (Refused, DioramaError, HTTPException, RequestValidationError) as error:
                answer = _answer(error)
            if answer.status >= 500:
                log.warning("request.failed", code=answer.code, status=answer.status)
            return answer.response(request_id=request.scope.get("request_id"))

        return handle_in_their_words


def _answer(error: Refused | DioramaError | HTTPException | RequestValidationError) -> OpenAIError:
    if isinstance(error, Refused):
        return error.answer
    if isinstance(error, DioramaError):
        return told(error)
    if isinstance(error, RequestValidationError):
        name = str(error.errors()[0]["loc"][-1])
        return OpenAIError(400, f"Invalid header '{name}'.", code="invalid_value", param=name)
    kind = INVALID if error.status_code < 500 else SERVER
    return OpenAIError(error.status_code, str(error.detail), type=kind, code=_CODES.get(error.status_code))
