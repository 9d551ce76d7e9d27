"""What getimg is sent: one JSON object, by the table of the catalog's row.

Version 2 of its API has one path for all models and takes pictures as URLs. Version 1 has a path for each model and each
thing to be done, and takes one picture in plain base64.
"""

import base64
from typing import Any

from contracts.wishes import Capability
from errors import ProviderRejectedInput
from providers import data_uri
from providers.base import Purchase, ReferenceImage
from providers.model_entry import ModelEntry

_VERSION_2 = "/v2/"
# Version 2's limits: of a picture before it is encoded, and of the whole request; what is left is for the words.
_MOST_PICTURE_BYTES = 10 * 2**20
_MOST_ENCODED = 25 * 2**20 - 256_000


def operation_path(entry: ModelEntry, capability: Capability) -> str:
    """Where to buy this of the model. Raises ProviderRejectedInput: the catalog knows no such operation."""
    path = entry.operation.get(capability)
    if path is None:
        raise ProviderRejectedInput(f"{entry.model} has no operation for {capability}.")
    return path


def is_version_2(path: str) -> bool:
    """True for the paths of the newer API."""
    return path.startswith(_VERSION_2)


async def request_body(purchase: Purchase, entry: ModelEntry, path: str) -> dict[str, Any]:
    """The body of a create. Raises ProviderRejectedInput (pictures that it does not take), UnsupportedSize."""
    fields, traits = entry.input, purchase.traits
    named = {
        fields.prompt: purchase.prompt,
        fields.quality: purchase.quality if entry.has_quality_levels else None,
        fields.negative_prompt: traits.negative_prompt,
        fields.seed: traits.seed,
        fields.steps: traits.steps,
        fields.guidance: traits.guidance,
        fields.strength: traits.strength,
        fields.scale: traits.scale,
        fields.format: traits.output_format,
        **_size(purchase, entry, path),
        **await _pictures(purchase, entry, path),
    }
    body = {name: value for name, value in named.items() if name is not None and value is not None}
    model = {"model": purchase.model} if is_version_2(path) else {}
    return {**model, **body, **fields.fixed}


def _size(purchase: Purchase, entry: ModelEntry, path: str) -> dict[str | None, str | int]:
    """Version 1 takes a size only where there is no picture to start from."""
    fields = entry.input
    if not entry.is_sized or not (is_version_2(path) or purchase.capability == "text_to_image"):
        return {}
    recipe = entry.recipe(purchase.shape, purchase.size)
    return {fields.size: recipe.request, fields.width: recipe.width, fields.height: recipe.height}


async def _pictures(purchase: Purchase, entry: ModelEntry, path: str) -> dict[str | None, Any]:
    if not purchase.references:
        return {}
    if is_version_2(path):
        return {entry.input.references: [{"url": url} for url in await _urls(purchase.references)]}
    if len(purchase.references) > 1:
        raise ProviderRejectedInput(f"{entry.model} works from one picture.")
    return {entry.input.image: base64.b64encode(await purchase.references[0].read()).decode("ascii")}


async def _urls(pictures: tuple[ReferenceImage, ...]) -> list[str]:
    """The pictures themselves, as long as they fit; the URL of one that does not, where the store is public."""
    urls: list[str] = []
    room = _MOST_ENCODED
    for picture in pictures:
        encoded = data_uri.encoded_length(picture.size_bytes, picture.content_type)
        if picture.size_bytes <= _MOST_PICTURE_BYTES and encoded <= room:
            urls.append(data_uri.encode(await picture.read(), picture.content_type))
            room -= encoded
        else:
            urls.append(await _public_url(picture))
    return urls


async def _public_url(picture: ReferenceImage) -> str:
    url = await picture.url()
    if url is None or not url.startswith("https://"):
        raise ProviderRejectedInput("The pictures to work from are larger than getimg takes.")
    return url
