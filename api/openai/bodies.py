"""Reading a call's body: JSON or a multipart form, bounded while it comes, into one plain form."""

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO, Final

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from api.openai.errors import OpenAIError, Refused, wrong_parameter
from api.strict_json import check_declared, read_bounded
from api.upload_reading import UploadReader, arriving
from providers.answers import is_text

# 32,000 characters, each written as two escapes, and room.
LONGEST_JSON: Final = 512 * 1024
# JSON is held in memory, twice while it is parsed; a form's files are on disk beyond the first megabyte of each.
LONGEST_JSON_WITH_PICTURES: Final = 32 * 1024 * 1024
LONGEST_FORM: Final = 128 * 1024 * 1024
# 32,000 characters in UTF-8.
LONGEST_FIELD: Final = 128 * 1024
# The longest form at 1.1 MB/s; whoever is slower would hold a slot that others wait for.
ARRIVES_WITHIN_S: Final = 120.0
MOST_PICTURES: Final = 16
MOST_FIELDS: Final = 60
_PICTURES: Final = frozenset({"image", "image[]"})
_OPTION: Final = re.compile(r"diorama\[([a-z_]{1,40})\](\[\])?")
# A multiple of four. Whatever thread decodes holds up all others meanwhile: a megabyte takes it about 10 ms.
_PIECE: Final = 1024 * 1024
_DATA_URI: Final = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """Fields as JSON has them, pictures as open files, and the addresses of pictures that are still to be fetched."""

    fields: Mapping[str, Any]
    pictures: tuple[BinaryIO, ...] = ()
    urls: tuple[str, ...] = ()
    hash: str = field(default="", compare=False)


async def read_json(request: Request) -> Body:
    """A JSON body. Raises Refused, and HTTPException 413."""
    fields = _parsed(await _json(request, LONGEST_JSON))
    return Body(fields, hash=_hash(fields))


@asynccontextmanager
async def read_edit(request: Request, reader: UploadReader) -> AsyncIterator[Body]:
    """The body of an edit: a form with files, or JSON with data URIs or addresses. Its pictures last as long as the block.

    Bounded in size, in time, and in how many are held at once. Raises Refused, ServiceUnavailable, HTTPException 408, 413.
    """
    opened = _opened_form if _media_type(request) == "multipart/form-data" else _opened_json
    async with reader.slot(), opened(request) as body:
        if not body.urls:
            yield body
            return
    yield body  # addresses take no room


@asynccontextmanager
async def _opened_json(request: Request) -> AsyncIterator[Body]:
    async with arriving(within_s=ARRIVES_WITHIN_S):
        body = await asyncio.to_thread(_with_pictures, await _json(request, LONGEST_JSON_WITH_PICTURES))
    try:
        yield body
    finally:
        for picture in body.pictures:
            picture.close()


@asynccontextmanager
async def _opened_form(request: Request) -> AsyncIterator[Body]:
    check_declared(request, LONGEST_FORM)
    bounded = Request(request.scope, _bounded(request.receive, LONGEST_FORM))
    async with AsyncExitStack() as stack:
        async with arriving(within_s=ARRIVES_WITHIN_S):
            reading = bounded.form(max_files=MOST_PICTURES + 2, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD)
            form = await stack.enter_async_context(reading)
        yield await asyncio.to_thread(_of_form, form)


def _of_form(form: FormData) -> Body:
    fields: dict[str, Any] = {}
    pictures: list[BinaryIO] = []
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            _put(fields, name, value)
        elif name in _PICTURES:
            pictures.append(value.file)
        else:  # a mask, or what nobody knows: the parameters' check says so
            fields[name] = value.filename or "file"
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise wrong_parameter("image", f"Give 1 to {MOST_PICTURES} images.", "missing_required_parameter")
    return Body(fields, tuple(pictures), hash=_hash(fields, pictures))


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    """One text field; an option of ours comes as `diorama[seed]`, and in lists as `diorama[tags][]`."""
    option = _OPTION.fullmatch(name)
    if option is None:
        fields[name] = value
        return
    options = fields.setdefault("diorama", {})
    if option[2]:
        options.setdefault(option[1], []).append(value)
    else:
        options[option[1]] = value


async def _json(request: Request, max_bytes: int) -> bytes:
    if _media_type(request) != "application/json":
        raise Refused(OpenAIError(415, "Send the body as application/json."))
    return await read_bounded(request, max_bytes)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        fields = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise Refused(OpenAIError(400, "We could not parse the JSON body of your request.")) from None
    if not isinstance(fields, dict):
        raise Refused(OpenAIError(400, "The JSON body of your request must be an object."))
    return fields


def _with_pictures(text: bytes) -> Body:
    """Data URIs become pictures at once; what is behind other addresses is fetched later."""
    fields = _parsed(text)
    images = fields.get("images")
    given = images if isinstance(images, list) else []
    addresses = [one["image_url"] for one in given if isinstance(one, dict) and is_text(one.get("image_url"))]
    if not addresses or len(addresses) < len(given):
        raise wrong_parameter("images", "Give images as a list of objects with image_url.")
    if len(addresses) > MOST_PICTURES:
        raise wrong_parameter("images", f"Give at most {MOST_PICTURES} images.")
    # Not both: their order among each other would be lost.
    inline = [found for address in addresses if (found := _DATA_URI.match(address))]
    if 0 < len(inline) < len(addresses):
        raise wrong_parameter("images", "Give either data URIs or https URLs, not both.")
    others = {name: value for name, value in fields.items() if name != "images"}
    if not inline:
        return Body(others, urls=tuple(addresses), hash=_hash(fields))
    pictures = [_decoded(uri.string, uri.end()) for uri in inline]
    return Body(others, tuple(pictures), hash=_hash(others, pictures))


def _decoded(address: str, start: int) -> BinaryIO:
    picture = BytesIO()
    try:
        for at in range(start, len(address), _PIECE):
            picture.write(base64.b64decode(address[at : at + _PIECE], validate=True))
    except (binascii.Error, ValueError):
        raise wrong_parameter("images", "A data URI is not valid base64.", "invalid_base64_image") from None
    picture.seek(0)
    return picture


def _hash(fields: dict[str, Any], pictures: Sequence[BinaryIO] = ()) -> str:
    """Of all that is asked for, so that repetitions can be told from other calls."""
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
    for picture in pictures:
        one = hashlib.sha256()
        while piece := picture.read(_PIECE):
            one.update(piece)
        picture.seek(0)
        digest.update(one.digest())
    return digest.hexdigest()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    """The same messages, up to so many bytes of body."""
    left = max_bytes

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"The body may have at most {max_bytes} bytes.")
        return message

    return receive_bounded
