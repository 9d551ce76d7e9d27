"""What is sent to WaveSpeed: a model's input by the table of its catalog entry, with reference pictures as URLs."""

from collections.abc import Awaitable, Callable
from typing import Any

from providers.base import Purchase, ReferenceImage
from providers.model_entry import ModelEntry

Upload = Callable[[bytes, str], Awaitable[str]]


async def model_input(purchase: Purchase, entry: ModelEntry, upload: Upload) -> dict[str, Any]:
    """The body of a create. `upload` takes bytes and a content type and gives the picture's URL: no data URIs here.

    WaveSpeed keeps no field in which our token could ride: it rides in the webhook's URL only.
    """
    fields = entry.input
    body: dict[str, Any] = dict(fields.fixed)
    _put(body, fields.prompt, purchase.prompt)
    _put(body, fields.quality, purchase.quality)
    _put_size(body, purchase, entry)
    _put_traits(body, purchase, entry)
    if purchase.references:
        urls = [await _url(image, upload) for image in purchase.references]
        _put_pictures(body, purchase, entry, urls)
    return body


def path_of(purchase: Purchase, entry: ModelEntry) -> str:
    """Where this model is asked for what is to be done: editing is often a path of its own."""
    return f"/api/v3/{entry.operation.get(purchase.capability, entry.model)}"


def _put_size(body: dict[str, Any], purchase: Purchase, entry: ModelEntry) -> None:
    fields = entry.input
    if fields.size is None and fields.width is None:
        return
    recipe = entry.recipe(purchase.shape, purchase.size)
    _put(body, fields.size, recipe.request)
    _put(body, fields.width, recipe.width)
    _put(body, fields.height, recipe.height)


def _put_traits(body: dict[str, Any], purchase: Purchase, entry: ModelEntry) -> None:
    fields, traits = entry.input, purchase.traits
    _put(body, fields.negative_prompt, traits.negative_prompt)
    _put(body, fields.seed, traits.seed)
    _put(body, fields.steps, traits.steps)
    _put(body, fields.guidance, traits.guidance)
    _put(body, fields.strength, traits.strength if purchase.references else None)
    _put(body, fields.scale, traits.scale)
    formats = entry.traits.formats  # what the model cannot write is converted for the client from what it can
    _put(body, fields.format, traits.output_format if traits.output_format in formats else formats[0])


def _put_pictures(body: dict[str, Any], purchase: Purchase, entry: ModelEntry, urls: list[str]) -> None:
    """One picture to change goes by itself, pictures to look at go in a list, unless the model knows only the other way."""
    fields = entry.input
    looks_at = purchase.capability in {"text_to_image", "image_to_image"}
    if fields.references is not None and (looks_at or fields.image is None):
        _put(body, fields.references, urls[0] if fields.one_image else urls)
    else:
        _put(body, fields.image, urls[0])


def _put(body: dict[str, Any], field: str | None, value: object) -> None:
    """Nothing is sent for a field that the model lacks, or a wish that nobody has."""
    if field is not None and value is not None:
        body[field] = value


async def _url(image: ReferenceImage, upload: Upload) -> str:
    return await image.url() or await upload(await image.read(), image.content_type)
