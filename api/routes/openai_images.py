"""OpenAI's image calls: an application that speaks to OpenAI speaks to Diorama by changing its base URL and its key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import StringConstraints, ValidationError

from api import cost_headers
from api.cost_headers import tell_cost
from api.dependencies import GenerateDep, ServicesDep
from api.openai import answers, calls
from api.openai.answers import Finished
from api.openai.bodies import Body, read_edit, read_json
from api.openai.calls import Ordered
from api.openai.errors import OpenAIError, Refused, invalid, wrong_parameter
from api.openai.former_models import FORMER_MODELS
from api.openai.parameters import ImageParameters, unsupported
from api.openai.route import OpenAIRoute
from api.openai.streaming import Watched, as_events
from api.services import Services
from db.keys import Caller

router = APIRouter(prefix="/v1/images", tags=["OpenAI-compatible"], route_class=OpenAIRoute)

Key = Annotated[
    str | None,
    StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
    Header(
        alias="Idempotency-Key",
        description="Names this call for ever. Without it the openai client's own repetitions are recognized.",
    ),
]
_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {"type": "object", "properties": {name: {} for name in ("message", "type", "param", "code")}}
    },
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "OpenAI's answer, or with `stream` its events",
        "content": {"application/json": {}, "text/event-stream": {}},
        "headers": cost_headers.DOCUMENTED,
    },
    **{
        status: {"description": "An error in OpenAI's shape", "content": {"application/json": {"schema": _ERROR}}}
        for status in (400, 401, 404, 408, 409, 410, 413, 415, 422, 429, 500, 503, 504)
    },
}
_PICTURES: Final = {
    "image": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 16},
}
_ADDRESSES: Final = {
    "images": {
        "type": "array",
        "items": {"type": "object", "properties": {"image_url": {"type": "string"}}, "required": ["image_url"]},
        "maxItems": 16,
    },
}


def _schema(**more: Any) -> dict[str, Any]:
    schema = ImageParameters.model_json_schema()
    definitions = schema.pop("$defs", {})
    options = definitions.get("DioramaOptions", {"type": "object"})
    properties = {**schema["properties"], "diorama": options, **more}
    return {"schema": {**schema, "properties": properties}}


@router.post(
    "/generations",
    summary="Generate images as OpenAI does",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": _schema()}}},
)
async def generate(services: ServicesDep, caller: GenerateDep, request: Request, key: Key = None) -> Response:
    """Make pictures from words; answers when they are done, or as they come with `stream`.

    A client that leaves cancels nothing: its own repetition of the call finds the same pictures.
    """
    body = await read_json(request)
    return await _answered(services, await _asked(services, request, caller, body, key), event="image_generation")


@router.post(
    "/edits",
    summary="Edit images as OpenAI does",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": _schema(**_PICTURES), "application/json": _schema(**_ADDRESSES)},
        }
    },
)
async def edit(services: ServicesDep, caller: GenerateDep, request: Request, key: Key = None) -> Response:
    """Make pictures from words and pictures: a form with files, or JSON with URLs or data URIs."""
    async with read_edit(request, services.upload_reader) as body:  # its pictures are let go before the wait
        asked = await _asked(services, request, caller, body, key)
    return await _answered(services, asked, event="image_edit")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that was accepted, and how it wants its answer."""

    request: Request
    caller: Caller
    ordered: Ordered
    parameters: ImageParameters


async def _asked(services: Services, request: Request, caller: Caller, body: Body, key: str | None) -> _Asked:
    parameters = _parameters(body)
    call = calls.incoming(request, caller, body, key)
    ordered = await calls.order(services, call, body, parameters)
    tell_cost(request, most_usd=ordered.acceptance.most_usd)
    return _Asked(request, caller, ordered, parameters)


async def _answered(services: Services, asked: _Asked, *, event: str) -> Response:
    ordered, parameters = asked.ordered, asked.parameters
    if parameters.is_streamed:
        await services.budget_room.tell(asked.request, asked.caller)
        return await as_events(Watched(services, ordered, parameters, event))
    finished = Finished(*await calls.finished(services, ordered), ordered)
    tell_cost(asked.request, cost_usd=finished.row.cost_usd)
    await services.budget_room.tell(asked.request, asked.caller)
    answer = answers.as_links if parameters.as_links else answers.as_bytes
    return await answer(finished, services.storage, partial(calls.answered, services, ordered))


def _parameters(body: Body) -> ImageParameters:
    if refused := unsupported(dict(body.fields)):
        raise wrong_parameter(*refused, code="unsupported_parameter")
    with _validated():
        parameters = ImageParameters.model_validate(dict(body.fields))
    if together := parameters.refused_together():
        raise wrong_parameter(*together)
    with _validated():
        parameters.request()
    if former := FORMER_MODELS.get(parameters.model or ""):
        said = f"The model '{parameters.model}' was shut down on {former.shutdown}. Use {former.replaced_by} instead."
        raise Refused(OpenAIError(404, said, code="model_not_found", param="model"))
    return parameters


@contextmanager
def _validated() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise Refused(invalid(error)) from None
