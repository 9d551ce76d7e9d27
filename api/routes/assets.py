"""Assets: bring a picture in; what is known about one, its bytes, and a link that reads it from the store."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from api.asset_answers import AssetAnswer, filename
from api.byte_ranges import ByteRange, RangeNotSatisfiable, etag_matches, parse_range
from api.dependencies import GenerateDep, ReadDep, ServicesDep
from api.problems import documented
from api.services import Services
from db import assets_read
from db.keys import Caller
from db.models import Asset
from errors import NotFound
from storage.base import ObjectStorage

router = APIRouter(prefix="/v1/assets", tags=["assets"])

LINK_LIFETIME = timedelta(minutes=10)


async def _stored(services: Services, caller: Caller, asset_id: UUID) -> Asset:
    async with services.database.transaction() as session:
        found = await assets_read.of_tenant(session, caller.tenant_id, asset_id)
    if found is None:
        raise NotFound("There is no such picture.")
    row, readable = found
    if not readable:
        raise HTTPException(410, "The picture was deleted.")
    return row


_PICTURE_SCHEMA = {"type": "string", "format": "binary"}
_FORM_SCHEMA = {"type": "object", "properties": {"image": _PICTURE_SCHEMA}, "required": ["image"]}
_UPLOAD_CONTENT = {
    **{content_type: {"schema": _PICTURE_SCHEMA} for content_type in ("image/png", "image/jpeg", "image/webp")},
    "multipart/form-data": {"schema": _FORM_SCHEMA},
}


@router.post(
    "",
    summary="Upload a picture to work from",
    status_code=201,
    responses=documented(400, 401, 408, 413, 415, 422, 503),
    openapi_extra={"requestBody": {"required": True, "content": _UPLOAD_CONTENT}},
)
async def upload(services: ServicesDep, caller: GenerateDep, request: Request, response: Response) -> AssetAnswer:
    """Bring a picture of your own in: a PNG, JPEG or WebP picture of at most 20 MB, as the body itself or as the file of a form.

    The same bytes give the same picture again, so repeating is harmless. A picture that no generation uses within a day is
    removed.
    """
    async with services.upload_reader.read(request) as body:
        row = await services.input_pictures.uploaded(body, tenant_id=caller.tenant_id)
    answer = AssetAnswer.of(row)
    response.headers["Location"] = answer.links.self_
    return answer


@router.head("/{asset_id}", include_in_schema=False)
@router.get("/{asset_id}", summary="Read what is known about a picture", responses=documented(401, 404, 410, 422, 503))
async def read(services: ServicesDep, caller: ReadDep, asset_id: UUID) -> AssetAnswer:
    """What is known about a picture: size, type, hash, model and prompt template."""
    return AssetAnswer.of(await _stored(services, caller, asset_id))


@router.head("/{asset_id}/content", include_in_schema=False)
@router.get(
    "/{asset_id}/content",
    summary="Read a picture's bytes",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}, "description": "The picture"},
        206: {"description": "The bytes that Range asks for"},
        304: {"description": "The client has it"},
        **documented(401, 404, 410, 416, 422, 503),
    },
)
async def content(  # noqa: PLR0917 FastAPI passes parameters by name
    request: Request,
    services: ServicesDep,
    caller: ReadDep,
    asset_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
    if_range: Annotated[str | None, Header()] = None,
    byte_range: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """A picture's bytes, for ever the same under this path: cache them. Supports ETag and Range."""
    row = await _stored(services, caller, asset_id)
    headers = _content_headers(row)
    if if_none_match is not None and etag_matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    part = _part(row, byte_range) if if_range in {None, headers["ETag"]} else None
    if part is not None:
        headers["Content-Range"] = part.content_range
    length = part.length if part else row.size_bytes
    headers["Content-Length"] = str(length)
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=row.content_type)
    chunks = await _opened(services.storage, row.key, start=part.start if part else 0, length=length)
    return StreamingResponse(chunks, status, headers, media_type=row.content_type)


@router.get(
    "/{asset_id}/download",
    summary="Be redirected to a signed URL of the bytes",
    status_code=307,
    response_class=RedirectResponse,
    responses=documented(401, 404, 410, 422, 503),
)
async def download(services: ServicesDep, caller: ReadDep, asset_id: UUID) -> RedirectResponse:
    """Redirects to the store itself, by a link that works for ten minutes without a key."""
    row = await _stored(services, caller, asset_id)
    url = await services.storage.presigned_get(row.key, expires=LINK_LIFETIME, filename=filename(row))
    return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})


def _content_headers(row: Asset) -> dict[str, str]:
    return {
        "ETag": f'"{row.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'inline; filename="{filename(row)}"',
        "X-Content-Type-Options": "nosniff",
    }


def _part(row: Asset, header: str | None) -> ByteRange | None:
    if header is None:
        return None
    try:
        return parse_range(header, row.size_bytes)
    except RangeNotSatisfiable:
        unsatisfied: Mapping[str, str] = {"Content-Range": f"bytes */{row.size_bytes}"}
        raise HTTPException(416, f"The picture has {row.size_bytes} bytes.", dict(unsatisfied)) from None


async def _opened(storage: ObjectStorage, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
    """The object's bytes, with the first chunk already read: a store that is away still gives a proper problem."""
    chunks = await storage.get(key, start=start, length=length)
    first = await anext(chunks, b"")
    return _stream(first, chunks)


async def _stream(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        yield first
        async for chunk in chunks:
            yield chunk
