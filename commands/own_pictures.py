"""Pictures to work from: given by their asset ids, or as files that are uploaded first."""

import asyncio
from pathlib import Path
from uuid import UUID

from commands.http_client import DioramaClient, Json
from commands.troubles import CommandUnusable

FIELDS = ("image_asset_id", "image_asset_ids")
# By the name alone: the server looks at the bytes.
CONTENT_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


async def with_uploads(client: DioramaClient, body: Json) -> Json:
    """The body with an asset id for each file. Raises CommandUnusable (no such file), RequestRefused, ServerUnreachable."""
    uploaded = dict(body)
    for field in FIELDS:
        given = body.get(field)
        if isinstance(given, str):
            uploaded[field] = await _asset_id(client, given)
        elif given is not None:
            uploaded[field] = [await _asset_id(client, one) for one in given]
    return uploaded


async def _asset_id(client: DioramaClient, given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError:
        path = Path(given)
    try:
        picture = await asyncio.to_thread(path.read_bytes)
    except OSError as trouble:
        raise CommandUnusable(f"'{path}' is no asset id, and cannot be read: {trouble.strerror}.") from trouble
    content_type = CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return str((await client.upload(picture, content_type))["id"])
