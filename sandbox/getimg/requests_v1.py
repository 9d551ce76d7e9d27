"""Reading a request of version 1: fields by a schema, one picture in plain base64."""

import base64
import binascii
import io
from typing import Final

from PIL import Image

from sandbox.getimg.errors import error, invalid
from sandbox.getimg.models import Operation, Size
from sandbox.getimg.order import Order
from sandbox.json_text import Json
from sandbox.replicate.validation import complaints
from sandbox.wire import Refusal

MOST_ENHANCED_SIDE: Final = 1024


def order_of(fields: object, operation: Operation) -> Order:
    """The checked request. Raises Refusal with getimg's own words."""
    values = _checked(fields, operation)
    image = _picture(values["image"]) if "image" in values else None
    input_size = _size_of(image, operation) if image is not None else None
    scale = float(values.get("scale", 4)) if operation.does == "enlarge" else 1.0
    size = _wanted_size(values, operation) if input_size is None else _scaled(input_size, scale)
    return Order(
        version=1,
        model=operation.model,
        does=operation.does,
        prompt=str(values.get("prompt", "")),
        size=size,
        output_format="png" if values.get("output_format") == "png" else "jpeg",
        by_url=values.get("response_format") == "url",
        usd=operation.cost_usd(size, int(values.get("steps", operation.default_steps))),
        seed=values.get("seed"),
        scale=scale,
        references=(image,) if image is not None else (),
    )


def _checked(fields: object, operation: Operation) -> Json:
    if not isinstance(fields, dict):
        raise Refusal(error(400, "invalid_parameter", "The body must be a JSON object."))
    for one in complaints(operation.schema, fields, ""):
        if one.rule == "required":
            name = one.description.partition(" ")[0]
            raise Refusal(invalid(f"Missing required parameter: {name}", name, "parameter_missing"))
        raise Refusal(invalid(one.description, one.field.removeprefix(".")))
    if fields.get("model", operation.model) != operation.model:
        raise Refusal(invalid(f"Unknown model '{fields['model']}'.", "model"))
    return fields


def _wanted_size(values: Json, operation: Operation) -> Size:
    if operation.ratios:
        ratio = values.get("aspect_ratio", "1:1")
        if ratio not in operation.ratios:
            raise Refusal(invalid(f"Unsupported aspect ratio '{ratio}'.", "aspect_ratio"))
        return operation.ratios[ratio]
    least, most, step = operation.sides
    width, height = int(values.get("width", 1024)), int(values.get("height", 1024))
    for name, side in (("width", width), ("height", height)):
        if not least <= side <= most or side % step:
            raise Refusal(invalid(f"{name} must be between {least} and {most} and a multiple of {step}.", name))
    return width, height


def _picture(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as broken:
        raise Refusal(invalid("image must be base64 encoded.", "image")) from broken


def _size_of(image: bytes, operation: Operation) -> Size:
    try:
        with Image.open(io.BytesIO(image)) as opened:
            size = opened.size
    except OSError as unreadable:
        raise Refusal(invalid("image is not a picture.", "image")) from unreadable
    if operation.does != "vary" and max(size) > MOST_ENHANCED_SIDE:
        raise Refusal(invalid(f"image must be at most {MOST_ENHANCED_SIDE}x{MOST_ENHANCED_SIDE} pixels.", "image"))
    return size


def _scaled(size: Size, scale: float) -> Size:
    return round(size[0] * scale), round(size[1] * scale)
