"""Finished pictures in OpenAI's words, written as their bytes come from the store: no answer is held in memory whole."""

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.openai.calls import Ordered
from contracts.pictures import PictureMade
from db.models import Generation
from storage.base import EXTENSIONS, ObjectStorage

# As long as OpenAI's own links lived.
LINK_LIFETIME: Final = timedelta(hours=1)
_FORMATS: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}

Done = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A generation that has succeeded, and its pictures."""

    row: Generation
    pictures: Sequence[PictureMade]
    ordered: Ordered

    def look(self, made: PictureMade) -> dict[str, Any]:
        """What OpenAI tells of a picture beside its bytes."""
        return {
            "background": "transparent" if self.row.request["traits"]["transparent"] else "opaque",
            "output_format": _FORMATS[made.asset.content_type],
            "quality": self.row.request["quality"],
            "size": f"{made.asset.width}x{made.asset.height}",
        }

    def created(self) -> int:
        """When it ended (Unix seconds)."""
        return int((self.row.finished_at or self.row.created_at).timestamp())

    def more(self) -> dict[str, Any]:
        """What only we can tell: who made the pictures, at what cost (USD), what could not be met as it was wished, and which
        models of it end soon.
        """
        return {
            "generation_id": str(self.row.id),
            "cost_usd": str(self.row.cost_usd),
            "warnings": self.ordered.acceptance.body.get("warnings", []),
            "pictures": [
                {
                    "asset_id": str(made.asset.asset_id),
                    "provider": made.provider,
                    "model": made.model,
                    "cost_usd": str(made.cost_usd),
                    "adjustments": [adjustment.model_dump(mode="json") for adjustment in made.adjustments],
                }
                for made in self.pictures
            ],
        }

    def envelope(self) -> dict[str, Any]:
        """The answer without its pictures. `usage` is left out: only some providers count tokens, and nobody keeps them."""
        return {"created": self.created(), **self.look(self.pictures[0]), "diorama": self.more()}


async def as_links(finished: Finished, storage: ObjectStorage, done: Done) -> Response:
    """The pictures as links to the store that need no key."""
    data = []
    for made in finished.pictures:
        extension = EXTENSIONS[made.asset.content_type]
        name = f"{made.step}-{made.asset.asset_id.hex[-8:]}.{extension}"
        data.append({"url": await storage.presigned_get(made.asset.key, expires=LINK_LIFETIME, filename=name)})
    await done()
    return JSONResponse({**finished.envelope(), "data": data}, headers=finished.ordered.headers)


async def as_bytes(finished: Finished, storage: ObjectStorage, done: Done) -> Response:
    """The pictures in base64. A store that is away gives a proper error, one that goes away meanwhile a cut answer."""
    head = json.dumps(finished.envelope(), separators=(",", ":")).encode()[:-1] + b',"data":['
    parts = _parts(finished, storage, head)
    first = await anext(parts)
    encoded = sum(_encoded_length(made.asset.size_bytes) for made in finished.pictures)
    frames = len(finished.pictures) * len(_OPEN + _CLOSE) + (len(finished.pictures) - 1) + len(_END)
    headers = finished.ordered.headers | {"Content-Length": str(len(head) + encoded + frames)}
    return StreamingResponse(_resumed(first, parts, done), 200, headers, media_type="application/json")


_OPEN: Final = b'{"b64_json":"'
_CLOSE: Final = b'"}'
_END: Final = b"]}"


async def _parts(finished: Finished, storage: ObjectStorage, head: bytes) -> AsyncGenerator[bytes, None]:
    before = head
    for made in finished.pictures:
        async with aclosing(base64_of(storage, made.asset.key)) as encoded:
            first = await anext(encoded, b"")
            yield before + _OPEN + first
            async for chunk in encoded:
                yield chunk
        before = _CLOSE + b","
    yield _CLOSE + _END


async def base64_of(storage: ObjectStorage, key: str) -> AsyncGenerator[bytes, None]:
    """An object's bytes in base64, without line breaks. Raises ObjectMissing, StorageUnavailable."""
    rest = b""
    async with aclosing(await storage.get(key)) as chunks:
        async for chunk in chunks:
            whole = rest + chunk
            end = len(whole) - len(whole) % 3
            rest = whole[end:]
            if end:
                yield base64.b64encode(whole[:end])
    if rest:
        yield base64.b64encode(rest)


async def _resumed(first: bytes, parts: AsyncGenerator[bytes, None], done: Done) -> AsyncIterator[bytes]:
    async with aclosing(parts):
        yield first
        async for part in parts:
            yield part
    await done()


def _encoded_length(size_bytes: int) -> int:
    return (size_bytes + 2) // 3 * 4
