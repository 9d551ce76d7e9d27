"""A picture from OpenAI as a stream: unfinished pictures first, and at last the event that is the answer.

It is the same one purchase: what goes wrong after its first byte is as unknown as without a stream.
"""

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

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
# Longer events are read in a thread: a picture of some megabytes takes tens of milliseconds, in which nothing else would go on.
_READ_AT_ONCE: Final = 256 * 1024


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
                event = _read(data) if len(data) <= _READ_AT_ONCE else await asyncio.to_thread(_read, data)
                if isinstance(event, bytes):
                    return Answer(response.status_code, response.headers, event)
                if event is not None:
                    on_partial(event.number, event.body)
    raise OutcomeUnknown(reason="StreamEnded")


@dataclass(frozen=True, slots=True)
class _Unfinished:
    number: int
    body: bytes


def _read(data: bytes) -> bytes | _Unfinished | None:
    """An event: the body of the answer, an unfinished picture, or nothing that matters. Raises what it tells of."""
    event = _json(data)
    kind = event.get("type")
    if not is_text(kind):
        kind = _FAILED if "error" in event else ""
    if kind.endswith(_COMPLETED):
        return json.dumps({"data": [{"b64_json": event.get("b64_json")}], "usage": event.get("usage")}).encode()
    if kind.endswith(_PARTIAL):
        return _unfinished(event)
    if kind == _FAILED:
        raise _failure(event)
    return None


def _unfinished(event: dict[str, Any]) -> _Unfinished | None:
    number, encoded = event.get("partial_image_index"), event.get("b64_json")
    if not isinstance(number, int) or not 0 <= number < MOST_PARTIALS or not is_text(encoded):
        return None
    try:
        return _Unfinished(number, base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):  # it would only have been shown
        return None


def _failure(event: dict[str, Any]) -> OutcomeUnknown | PolicyRefused:
    """Only the safety filter's word is definite; an error in the middle may come after the picture was paid."""
    told = refusal(Answer(400, {}, json.dumps({"error": event.get("error", event)}).encode()))
    return told if isinstance(told, PolicyRefused) else OutcomeUnknown(reason="StreamFailed")


def _json(data: bytes) -> dict[str, Any]:
    return Answer(200, {}, data).fields()
