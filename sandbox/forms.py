"""Multipart bodies."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_PART_BYTES: Final = 128 * 1024 * 1024
"""Above every provider's own limit, so that theirs are the ones that answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a form."""

    field: str
    filename: str
    content_type: str
    content: bytes


class NotAForm(ValueError):
    """A body that is no multipart form."""


async def read_form(request: Request) -> tuple[dict[str, str], list[Part]]:
    """The text fields and the files of a request whose body was already read. Raises NotAForm."""
    fields: dict[str, str] = {}
    parts: list[Part] = []
    try:
        async with request.form(max_part_size=MAX_PART_BYTES) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    content_type = value.content_type or "application/octet-stream"
                    parts.append(Part(name, value.filename or "", content_type, await value.read()))
                else:
                    fields[name] = value
    except (HTTPException, KeyError) as error:
        raise NotAForm(str(error)) from error
    return fields, parts
