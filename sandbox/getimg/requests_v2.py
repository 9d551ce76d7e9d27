"""Reading a request of version 2: a model, words, an aspect ratio and a resolution, pictures by URL or data URI."""

from typing import Any, Final

from sandbox.getimg.errors import error, invalid
from sandbox.getimg.models import Model, Range, Size
from sandbox.getimg.order import Order, OutputFormat
from sandbox.json_text import Json
from sandbox.references import ReferenceStore, ReferenceUnavailable, decode_data_uri, is_data_uri
from sandbox.wire import Refusal

MOST_PROMPT: Final = 4096
MOST_PICTURE_BYTES: Final = 10 * 2**20
MOST_BODY_BYTES: Final = 25 * 2**20
_FORMATS: Final[dict[str, OutputFormat]] = {"png": "png", "webp": "webp", "jpeg": "jpeg"}
_KNOWN: Final = frozenset({"model", "prompt", "aspect_ratio", "resolution", "images", "output_format"})


async def order_of(fields: object, body_bytes: int, on_sale: Range, store: ReferenceStore) -> Order:
    """The checked request with its pictures fetched. Raises Refusal with getimg's own words."""
    if body_bytes > MOST_BODY_BYTES:
        raise Refusal(error(413, "invalid_parameter", "The request must be at most 25 MiB."))
    if not isinstance(fields, dict):
        raise Refusal(error(400, "invalid_parameter", "The body must be a JSON object."))
    for name in fields.keys() - _KNOWN:
        raise Refusal(invalid(f"Unknown parameter '{name}'.", name))
    prompt, model = _prompt(fields), _model(fields, on_sale)
    size = _size(fields, model)
    output_format = fields.get("output_format", "jpeg")
    if output_format not in _FORMATS:
        raise Refusal(invalid(f"Unsupported output format '{output_format}'.", "output_format"))
    references = [await _fetched(address, store) for address in _addresses(fields, model)]
    return Order(
        version=2,
        model=model.id,
        does="paint",
        prompt=prompt,
        size=size,
        output_format=_FORMATS[output_format],
        by_url=True,
        usd=model.usd,
        seed=None,
        scale=1.0,
        references=tuple(references),
    )


def _prompt(fields: Json) -> str:
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refusal(invalid("Missing required parameter: prompt", "prompt", "parameter_missing"))
    if len(prompt) > MOST_PROMPT:
        raise Refusal(invalid(f"prompt must be at most {MOST_PROMPT} characters.", "prompt"))
    return prompt


def _model(fields: Json, on_sale: Range) -> Model:
    if "model" not in fields:
        raise Refusal(invalid("Missing required parameter: model", "model", "parameter_missing"))
    model = on_sale.models.get(str(fields["model"]))
    if model is None:
        raise Refusal(invalid(f"Unsupported model '{fields['model']}'.", "model"))
    return model


def _size(fields: Json, model: Model) -> Size:
    resolution = str(fields.get("resolution", next(iter(model.sizes))))
    if resolution not in model.sizes:
        raise Refusal(invalid(f"Unsupported resolution '{resolution}' for model '{model.id}'.", "resolution"))
    ratios = model.sizes[resolution]
    ratio = str(fields.get("aspect_ratio", next(iter(ratios))))
    if ratio not in ratios:
        raise Refusal(invalid(f"Unsupported aspect ratio '{ratio}' for model '{model.id}'.", "aspect_ratio"))
    return ratios[ratio]


def _addresses(fields: Json, model: Model) -> list[str]:
    images: Any = fields.get("images", [])
    if not isinstance(images, list) or not all(isinstance(one, dict) and one.keys() == {"url"} for one in images):
        raise Refusal(invalid("images must be a list of objects with a url.", "images"))
    if len(images) > model.references:
        raise Refusal(invalid(f"At most {model.references} images are supported.", "images"))
    return [str(one["url"]) for one in images]


async def _fetched(address: str, store: ReferenceStore) -> bytes:
    try:
        picture = decode_data_uri(address) if is_data_uri(address) else await store.fetch(address)
    except ReferenceUnavailable as unavailable:
        raise Refusal(invalid("An image could not be read.", "images")) from unavailable
    if len(picture) > MOST_PICTURE_BYTES:
        raise Refusal(invalid("An image must be at most 10 MiB.", "images"))
    return picture
