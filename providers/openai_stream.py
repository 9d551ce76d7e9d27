"""A picture from OpenAI as a stream: unfinished pictures first, and at last the event that is the answer.

It is the same one purchase: what goes wrong after its first byte is as unknown as without a stream.
"""

import base64
import binascii
import json
from typing import Any

import httpx

from errors import OutcomeUnknown, PolicyRefused
from providers.answers import Answer, is_text, read_answer
from providers.base import PartialPicture
from providers.openai_errors import refusal
from providers.purchase_call import PurchaseCall
from providers.server_sent_events import EventReader

_STREAM = "text/event-stream"
_PARTIAL, _COMPLETED, _FAILED = ".partial_image", ".completed", "error"
MOST_PARTIALS = 3


async def send_streaming(
    call: PurchaseCall, request: httpx.Request, *, on_partial: PartialPicture, max_bytes: int
) -> Answer:
    """Send a create that asks for a stream; its answer as it would have been without one.

    A refusal comes as an ordinary answer. `max_bytes` bounds one event. Raises PolicyRefused (told in the stream, after the
    picture was begun) and OutcomeUnknown (the stream broke, or told of any other error).
    """
    async with call.opened(request) as response:
        if not response.is_success or not response.headers.get("content-type", "").startswith(_STREAM):
            return await read_answer(response, max_bytes=max_bytes)
        reader = EventReader(max_bytes)
        async for chunk in response.aiter_bytes():
            for data in reader.feed(chunk):
                if finished := _taken(data, on_partial):
                    return Answer(response.status_code, response.headers, finished)
    raise OutcomeUnknown(reason="StreamEnded")


def _taken(data: bytes, on_partial: PartialPicture) -> bytes | None:
    """The body of the answer, once it is there; what is unfinished goes to `on_partial`."""
    event = _json(data)
    kind = event.get("type")
    if not is_text(kind):
        kind = _FAILED if "error" in event else ""
    if kind.endswith(_COMPLETED):
        return json.dumps({"data": [{"b64_json": event.get("b64_json")}], "usage": event.get("usage")}).encode()
    if kind.endswith(_PARTIAL):
        _show(event, on_partial)
    elif kind == _FAILED:
        raise _failure(event)
    return None


def _show(event: dict[str, Any], on_partial: PartialPicture) -> None:
    number, encoded = event.get("partial_image_index"), event.get("b64_json")
    if not isinstance(number, int) or not 0 <= number < MOST_PARTIALS or not is_text(encoded):
        return
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # it would only have been shown
        return
    on_partial(number, body)


def _failure(event: dict[str, Any]) -> OutcomeUnknown | PolicyRefused:
    """Only the safety filter's word is definite; an error in the middle may come after the picture was paid."""
    told = refusal(Answer(400, {}, json.dumps({"error": event.get("error", event)}).encode()))
    return told if isinstance(told, PolicyRefused) else OutcomeUnknown(reason="StreamFailed")


def _json(data: bytes) -> dict[str, Any]:
    return Answer(200, {}, data).fields()
