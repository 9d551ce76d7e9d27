"""What is sent to Replicate: a model's input, by the catalog's table of its fields, with pictures as URLs, data URIs or uploads."""

from collections.abc import Awaitable, Callable
from typing import Any

from errors import UnsupportedParameter
from providers import data_uri
from providers.base import Purchase, ReferenceImage
from providers.model_entry import ModelEntry
from providers.replicate_marks import seed_of, where_token_rides

# Replicate's limit for a data URL, the encoding counted in; larger pictures are uploaded.
_MAX_DATA_URI = 256_000

Upload = Callable[[bytes, str], Awaitable[str]]


async def model_input(purchase: Purchase, entry: ModelEntry, upload: Upload) -> dict[str, Any]:
    """The `input` object of a prediction. `upload` takes bytes and a content type and gives the file's URL.

    Our token rides where Replicate keeps and lists it, so that a lost prediction can be found: see replicate_marks.
    Raises UnsupportedSize, and UnsupportedParameter for what the model has no field for.
    """
    body: dict[str, Any] = {**entry.input.fixed, **_words(purchase, entry), **_size(purchase, entry)}
    return {**body, **_traits(purchase, entry), **await _pictures(purchase, entry, upload)}


def _words(purchase: Purchase, entry: ModelEntry) -> dict[str, Any]:
    fields = entry.input
    named = {fields.prompt: purchase.prompt, fields.quality: purchase.quality, fields.token: purchase.token}
    return {name: value for name, value in named.items() if name}


def _size(purchase: Purchase, entry: ModelEntry) -> dict[str, Any]:
    if not entry.is_sized:
        return {}
    recipe, fields = entry.recipe(purchase.shape, purchase.size), entry.input
    named = {fields.size: recipe.request, fields.width: recipe.width, fields.height: recipe.height}
    return {name: value for name, value in named.items() if name}


def _traits(purchase: Purchase, entry: ModelEntry) -> dict[str, Any]:
    """The fine settings that are wished for. The picture's format is no wish to the model: it can be converted later."""
    fields, traits = entry.input, purchase.traits
    seed = seed_of(purchase.token) if where_token_rides(purchase, entry) == "seed" else traits.seed
    wished: tuple[tuple[str, str | None, object], ...] = (
        ("negative_prompt", fields.negative_prompt, traits.negative_prompt),
        ("seed", fields.seed, seed),
        ("steps", fields.steps, traits.steps),
        ("guidance", fields.guidance, traits.guidance),
        ("strength", fields.strength, traits.strength),
        ("scale", fields.scale, traits.scale),
        ("transparent", fields.background, "transparent" if traits.transparent else None),
    )
    body = {_known(name, field, entry): value for name, field, value in wished if value is not None}
    return {**body, fields.format: traits.output_format} if fields.format else body


async def _pictures(purchase: Purchase, entry: ModelEntry, upload: Upload) -> dict[str, Any]:
    """The pictures to look at, as the model takes them, or the one picture to change, to draw from or to enhance."""
    if not purchase.references:
        return {}
    fields = entry.input
    are_examples = purchase.capability == "image_to_image" and fields.references is not None
    field = _known("references", fields.references if are_examples else fields.image or fields.references, entry)
    is_one = fields.one_image or field == fields.image
    if is_one and len(purchase.references) > 1:
        raise UnsupportedParameter(f"{entry.model} takes one picture.", parameter="references", model=entry.model)
    must_upload = where_token_rides(purchase, entry) == "upload"
    sent = [await _picture(image, upload, must_upload=must_upload) for image in purchase.references]
    return {field: sent[0] if is_one else sent}


async def _picture(image: ReferenceImage, upload: Upload, *, must_upload: bool) -> str:
    if not must_upload and (url := await image.url()):
        return url
    body = await image.read()
    if not must_upload and data_uri.encoded_length(len(body), image.content_type) <= _MAX_DATA_URI:
        return data_uri.encode(body, image.content_type)
    return await upload(body, image.content_type)


def _known(parameter: str, field: str | None, entry: ModelEntry) -> str:
    if field is None:
        raise UnsupportedParameter(f"{entry.model} has no {parameter}.", parameter=parameter, model=entry.model)
    return field
