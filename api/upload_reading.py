"""Reading a picture from the body of a request: bounded in size, in time, and in how many are read at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from api.safe_fetch import MAX_BYTES
from api.strict_json import check_declared, read_bounded
from errors import ServiceUnavailable

RAW_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/octet-stream"})
# What stands round the file in a form.
MAX_FORM_BYTES = MAX_BYTES + 64 * 1024
FIELDS = ("image", "file")
# A picture of the largest size at 330 kB/s; whoever is slower would hold a slot that others wait for.
TOTAL_S = 60.0
WAIT_FOR_SLOT_S = 10.0


class UploadReader:
    """Reads one picture a request; `at_once` bounds memory: each may hold MAX_BYTES twice.

    OpenAI's edits share the slots: each may hold as much beside its body (api/openai/bodies.py).
    """

    def __init__(self, *, at_once: int = 16) -> None:
        self._slots = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The picture's bytes, of which nothing is known but their number; the block holds their slot.

        They are the body itself, or the one file of a form. Raises HTTPException 400, 408, 413, 415, and ServiceUnavailable
        when too many others are being read.
        """
        async with self.slot():
            async with arriving(within_s=TOTAL_S):
                body = await _body(request)
            yield body

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Room for one request's pictures, which the block may hold. Raises ServiceUnavailable when there is none."""
        try:
            async with asyncio.timeout(WAIT_FOR_SLOT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise ServiceUnavailable from None
        try:
            yield
        finally:
            self._slots.release()


@asynccontextmanager
async def arriving(*, within_s: float) -> AsyncIterator[None]:
    """Reading a body with pictures in the block, within this time. Raises HTTPException 408."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {within_s:.0f} s.") from None


async def _body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _file_in_form(request)
    if media_type not in RAW_TYPES:
        raise HTTPException(415, "Send the picture as image/png, image/jpeg or image/webp, or in a form.")
    return await read_bounded(request, MAX_BYTES)


async def _file_in_form(request: Request) -> bytes:
    check_declared(request, MAX_FORM_BYTES)
    bounded = Request(request.scope, _bounded(request.receive))
    async with bounded.form(max_files=1, max_fields=1) as form:
        files = [value for name in FIELDS for value in form.getlist(name) if isinstance(value, UploadFile)]
        if len(files) != 1 or len(form) != 1:
            raise HTTPException(400, "Give one file, in the field image.")
        return await files[0].read()


def _bounded(receive: Receive) -> Receive:
    """The same messages, up to so many bytes of body."""
    left = MAX_FORM_BYTES

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"The picture may have at most {MAX_BYTES} bytes.")
        return message

    return receive_bounded
