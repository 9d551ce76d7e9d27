"""What is sent to Replicate: a model's input, with reference pictures as URLs, data URIs or uploaded files."""

from collections.abc import Awaitable, Callable
from typing import Any

from providers import data_uri
from providers.base import Purchase, ReferenceImage
from providers.model_entry import ModelEntry

# Replicate's limit for a data URL, the encoding counted in; larger pictures are uploaded.
_MAX_DATA_URI = 256_000

Upload = Callable[[bytes, str], Awaitable[str]]


async def model_input(purchase: Purchase, entry: ModelEntry, upload: Upload) -> dict[str, Any]:
    """The `input` object of a prediction. `upload` takes bytes and a content type and gives the file's URL.

    Our token rides in the field that Replicate keeps and lists, so that a lost prediction can be found.
    """
    fields = entry.input
    body: dict[str, Any] = {
        fields.prompt: purchase.prompt,
        fields.quality: purchase.quality,
        fields.size: entry.recipe(purchase.shape, purchase.size).request,
        fields.token: purchase.token,
        **fields.fixed,
    }
    if purchase.references:
        body[fields.references] = [await _reference(image, upload) for image in purchase.references]
    return body


async def _reference(image: ReferenceImage, upload: Upload) -> str:
    if url := await image.url():
        return url
    body = await image.read()
    if data_uri.encoded_length(len(body), image.content_type) <= _MAX_DATA_URI:
        return data_uri.encode(body, image.content_type)
    return await upload(body, image.content_type)
