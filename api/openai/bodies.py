"""Reading a call's body: JSON or a multipart form, bounded while it comes, into one plain form."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from api.openai.errors import OpenAIError, Refused, wrong_parameter
from api.strict_json import read_bounded
from providers.answers import is_text

# 32,000 characters, each written as two escapes, and room.
LONGEST_JSON: Final = 512 * 1024
# JSON is held in memory, a form on disk beyond its first megabyte.
LONGEST_JSON_WITH_PICTURES: Final = 32 * 1024 * 1024
LONGEST_FORM: Final = 128 * 1024 * 1024
MOST_PICTURES: Final = 16
MOST_FIELDS: Final = 60
_PICTURES: Final = frozenset({"image", "image[]"})
_OPTION: Final = re.compile(r"diorama\[([a-z_]{1,40})\](\[\])?")
_DATA_URI: Final = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """Fields as JSON has them, pictures as bytes, and the addresses of pictures that are still to be fetched."""

    fields: Mapping[str, Any]
    pictures: tuple[bytes, ...] = ()
    urls: tuple[str, ...] = ()
    hash: str = field(default="", compare=False)


async def read_json(request: Request, *, max_bytes: int = LONGEST_JSON) -> Body:
    """A JSON body. Raises Refused, and HTTPException 413."""
    if _media_type(request) != "application/json":
        raise Refused(OpenAIError(415, "Send the body as application/json."))
    try:
        fields = from_json(await read_bounded(request, max_bytes), allow_inf_nan=False)
    except ValueError:
        raise Refused(OpenAIError(400, "We could not parse the JSON body of your request.")) from None
    if not isinstance(fields, dict):
        raise Refused(OpenAIError(400, "The JSON body of your request must be an object."))
    return _hashed(fields, ())


async def read_edit(request: Request) -> Body:
    """The body of an edit: a form with files, or JSON with addresses. Raises Refused, and HTTPException 413."""
    if _media_type(request) == "multipart/form-data":
        return await _read_form(request)
    body = await read_json(request, max_bytes=LONGEST_JSON_WITH_PICTURES)
    return _with_data_uris(body)


async def _read_form(request: Request) -> Body:
    bounded = Request(request.scope, _bounded(request.receive, LONGEST_FORM))
    fields: dict[str, Any] = {}
    pictures: list[bytes] = []
    async with bounded.form(max_files=MOST_PICTURES + 2, max_fields=MOST_FIELDS, max_part_size=LONGEST_JSON) as form:
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                _put(fields, name, value)
            elif name in _PICTURES:
                pictures.append(await value.read())
            else:  # a mask, or what nobody knows: the parameters' check says so
                fields[name] = value.filename or "file"
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise wrong_parameter("image", f"Give 1 to {MOST_PICTURES} images.", "missing_required_parameter")
    return _hashed(fields, tuple(pictures))


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


def _with_data_uris(body: Body) -> Body:
    """Data URIs become pictures at once; what is behind other addresses is fetched later."""
    images = body.fields.get("images")
    given = images if isinstance(images, list) else []
    addresses = [one["image_url"] for one in given if isinstance(one, dict) and is_text(one.get("image_url"))]
    if not addresses or len(addresses) < len(given):
        raise wrong_parameter("images", "Give images as a list of objects with image_url.")
    if len(addresses) > MOST_PICTURES:
        raise wrong_parameter("images", f"Give at most {MOST_PICTURES} images.")
    # Not both: their order among each other would be lost.
    inline = {_DATA_URI.match(address) is not None for address in addresses}
    if len(inline) == 2:
        raise wrong_parameter("images", "Give either data URIs or https URLs, not both.")
    fields = {name: value for name, value in body.fields.items() if name != "images"}
    if inline == {False}:
        return Body(fields, urls=tuple(addresses), hash=body.hash)
    return Body(fields, pictures=tuple(_decoded(address) for address in addresses), hash=body.hash)


def _decoded(address: str) -> bytes:
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise wrong_parameter("images", "A data URI is not valid base64.", "invalid_base64_image") from None


def _hashed(fields: dict[str, Any], pictures: tuple[bytes, ...]) -> Body:
    """With the hash of all that is asked for, so that repetitions can be told from other calls."""
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return Body(fields, pictures, hash=digest.hexdigest())


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
