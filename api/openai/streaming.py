"""The answer as OpenAI's events: unfinished pictures as they come, then the finished ones, or the error."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.following import EventNote
from api.openai import calls
from api.openai.answers import Finished, base64_of
from api.openai.calls import Ordered
from api.openai.errors import OpenAIError, Refused, told
from api.openai.parameters import ImageParameters
from api.services import Services
from contracts.statuses import AssetRole, AssetState
from db.columns import now
from db.models import Asset
from errors import DioramaError, StorageError

# Until then what is refused at first sight still gets its own status; proxies cut connections that are silent much longer.
START_WITHIN_S: Final = 10.0
PING_EVERY_S: Final = 15.0
_EVENT_END: Final = b"\n\n"
_PING: Final = b": still at work" + _EVENT_END


@dataclass(frozen=True, slots=True)
class Watched:
    """A call whose client watches; `event` is `image_generation` or `image_edit`."""

    services: Services
    ordered: Ordered
    parameters: ImageParameters
    event: str


async def as_events(watched: Watched) -> Response:
    """The stream, once there is something to tell, or after ten seconds. Raises Refused: nothing was told before."""
    frames = _frames(watched)
    first = asyncio.ensure_future(anext(frames, b""))
    try:
        await asyncio.wait({first}, timeout=START_WITHIN_S)
        if first.done():
            first.result()  # raises what was refused
    except BaseException:
        await _ended(frames, first)
        raise
    return _Events(frames, first, watched.ordered.headers)


class _Events(StreamingResponse):
    """Lets go of what it watches also when its client has left before the first frame, and nothing of it was written."""

    def __init__(
        self, frames: AsyncGenerator[bytes, None], first: "asyncio.Future[bytes]", headers: Mapping[str, str]
    ) -> None:
        self._frames, self._first, self._body = frames, first, _told(frames, first)
        super().__init__(self._body, 200, headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._body.aclose()
            await _ended(self._frames, self._first)


async def _told(frames: AsyncGenerator[bytes, None], first: "asyncio.Future[bytes]") -> AsyncGenerator[bytes, None]:
    """The frames, with a comment now and then; an error becomes the last event, or the end of the one that has begun."""
    coming = first
    frame = b""
    try:
        while True:
            while not coming.done():
                await asyncio.wait({coming}, timeout=PING_EVERY_S)
                if not coming.done() and not _is_open(frame):
                    yield _PING
            if not (following := coming.result()):
                return
            yield (frame := following)
            coming = asyncio.ensure_future(anext(frames, b""))
    except Refused as refused:
        yield _failed(refused.answer, begun=_is_open(frame))
    except DioramaError as error:
        yield _failed(told(error), begun=_is_open(frame))
    finally:
        await _ended(frames, coming)


async def _ended(frames: AsyncGenerator[bytes, None], coming: "asyncio.Future[bytes]") -> None:
    coming.cancel()
    with suppress(asyncio.CancelledError, DioramaError, Refused):
        await coming
    await frames.aclose()


async def _frames(watched: Watched) -> AsyncGenerator[bytes, None]:
    services, ordered = watched.services, watched.ordered
    async with aclosing(services.following.follow(ordered.generation_id, 0)) as notes:
        async for note in notes:
            if note.type == "picture.partial":
                async for frame in _partial(watched, note):
                    yield frame
    finished = Finished(*await calls.ended(services, ordered), ordered)
    for made in finished.pictures:
        shown = {**finished.look(made), "created_at": finished.created(), "usage": None, "diorama": finished.more()}
        async for frame in _event(services, f"{watched.event}.completed", made.asset.key, shown):
            yield frame
    await calls.answered(services, ordered)


async def _partial(watched: Watched, note: EventNote) -> AsyncIterator[bytes]:
    """An unfinished picture, if it is still there: it goes when the finished one comes."""
    services, parameters = watched.services, watched.parameters
    async with services.database.transaction() as session:
        row = await session.get(Asset, UUID(str(note.data["asset_id"])))
    if row is None or row.role is not AssetRole.partial or row.state is not AssetState.stored:
        return
    shown = {
        "background": parameters.background or "auto",
        "output_format": parameters.output_format or "png",
        "quality": parameters.quality or "auto",
        "size": f"{row.width}x{row.height}",
        "created_at": int(now().timestamp()),
        "partial_image_index": note.data["index"],
    }
    try:
        frames = [frame async for frame in _event(services, f"{watched.event}.partial_image", row.key, shown)]
    except StorageError:  # gone meanwhile: it would only have been shown
        return
    for frame in frames:
        yield frame


async def _event(services: Services, kind: str, key: str, shown: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """One event whose picture is written as it is read."""
    rest = json.dumps({"type": kind, **shown}, separators=(",", ":"))[1:]
    async with aclosing(base64_of(services.storage, key)) as encoded:
        first = await anext(encoded, b"")
        yield f'event: {kind}\ndata: {{"b64_json":"'.encode() + first
        async for chunk in encoded:
            yield chunk
    yield f'",{rest}'.encode() + _EVENT_END


def _is_open(frame: bytes) -> bool:
    return bool(frame) and not frame.endswith(_EVENT_END)


def _failed(answer: OpenAIError, *, begun: bool) -> bytes:
    """`begun`: within a picture's base64, whose event then turns out to be the error: an event's last name is its name."""
    body = json.dumps({"type": "error", **answer.body()}, separators=(",", ":"))
    text = f'",{body[1:]}\nevent: error' if begun else f"event: error\ndata: {body}"
    return text.encode() + _EVENT_END
