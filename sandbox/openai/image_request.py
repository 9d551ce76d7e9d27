"""Reading an image request: JSON or multipart, generation or edit, into one checked value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sandbox.forms import NotAForm, Part, read_form
from sandbox.json_text import Json, decode
from sandbox.models import ModelTable, OpenAIModel, Tariff
from sandbox.openai.errors import error, invalid_value, model_not_found, model_shut_down
from sandbox.sizes import SizeRefused, fixed_size, free_size
from sandbox.wire import Call, Refusal

MAX_PROMPT: Final = 32_000
MAX_IMAGES: Final = 16
MAX_IMAGE_BYTES: Final = 50 * 1024 * 1024
OutputFormat = Literal["png", "webp", "jpeg"]
_FORMATS: Final[dict[str, OutputFormat]] = {"png": "png", "webp": "webp", "jpeg": "jpeg"}
_KNOWN: Final = frozenset(
    {
        "model",
        "prompt",
        "n",
        "size",
        "quality",
        "background",
        "output_format",
        "output_compression",
        "moderation",
        "stream",
        "partial_images",
        "complexity",
        "safety_identifier",
        "user",
        "image",
        "images",
        "mask",
        "markup",
        "input_fidelity",
    }
)


@dataclass(frozen=True, slots=True)
class Body:
    """A decoded body: plain fields, files that came as form parts, and addresses of pictures in JSON."""

    fields: Json
    uploads: tuple[bytes, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A checked request. Width and height in pixels."""

    model: OpenAIModel
    tariff: Tariff
    prompt: str
    n: int
    width: int
    height: int
    quality: str
    background: str
    output_format: OutputFormat
    stream: bool
    partial_images: int
    end_user: str | None
    uploads: tuple[bytes, ...]
    addresses: tuple[str, ...]

    @property
    def size(self) -> str:
        """`WxH`."""
        return f"{self.width}x{self.height}"


async def read_body(call: Call) -> Body:
    """Decode the body of a create. Raises Refusal."""
    if call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            fields, parts = await read_form(call.request)
        except NotAForm as broken:
            raise Refusal(error(400, f"Could not parse multipart form: {broken}")) from broken
        return Body({name: _plain(name, value) for name, value in fields.items()}, _uploads(parts))
    try:
        fields = decode(call.body)
    except ValueError as broken:
        raise Refusal(error(400, "We could not parse the JSON body of your request.")) from broken
    if not isinstance(fields, dict):
        raise Refusal(error(400, "The JSON body of your request must be an object."))
    return Body(fields, (), _addresses(fields.get("images", [])))


def check_request(body: Body, models: ModelTable, now: float, *, edit: bool) -> ImageRequest:
    """Check a decoded body against the models and limits. Raises Refusal with OpenAI's own words."""
    fields = body.fields
    model, tariff = _model(fields.get("model", "gpt-image-2"), models, now)
    for name in fields:
        if name.removesuffix("[]") not in _KNOWN:
            raise Refusal(invalid_value(f"Unknown parameter: '{name}'.", name, "unknown_parameter"))
    if edit and model.free_size and "input_fidelity" in fields:
        raise Refusal(invalid_value("This model does not accept 'input_fidelity'.", "input_fidelity"))
    if edit and not body.uploads and not body.addresses:
        raise Refusal(invalid_value("Missing required parameter: 'image'.", "image", "missing_required_parameter"))
    if len(body.uploads) + len(body.addresses) > MAX_IMAGES:
        raise Refusal(invalid_value(f"Too many images: at most {MAX_IMAGES} are supported.", "image"))
    if any(len(upload) > MAX_IMAGE_BYTES for upload in body.uploads):
        raise Refusal(error(413, "Image is too large: at most 50MB is supported.", param="image"))
    width, height = _size(str(fields.get("size", "auto")), model)
    output_format = _choice(fields, "output_format", "png", frozenset(_FORMATS))
    background = _choice(fields, "background", "auto", frozenset({"auto", "transparent", "opaque"}))
    if background == "transparent" and output_format == "jpeg":
        raise Refusal(invalid_value("Transparent background is not supported for 'jpeg'.", "background"))
    return ImageRequest(
        model=model,
        tariff=tariff,
        prompt=_prompt(fields),
        n=_number(fields, "n", 1, 1, 10),
        width=width,
        height=height,
        quality=_choice(fields, "quality", "auto", tariff.qualities | {"auto"}),
        background="opaque" if background == "auto" else background,
        output_format=_FORMATS[output_format],
        stream=bool(fields.get("stream", False)),
        partial_images=_number(fields, "partial_images", 0, 0, 3),
        end_user=fields.get("safety_identifier") or fields.get("user"),
        uploads=body.uploads,
        addresses=body.addresses,
    )


def _plain(name: str, value: str) -> Any:
    """A form field as JSON would have held it."""
    readers: dict[str, Callable[[str], Any]] = {
        "n": int,
        "partial_images": int,
        "output_compression": int,
        "stream": lambda text: text == "true",
    }
    try:
        return readers[name](value) if name in readers else value
    except ValueError:
        return value


def _uploads(parts: list[Part]) -> tuple[bytes, ...]:
    return tuple(part.content for part in parts if part.field in ("image", "image[]"))


def _addresses(images: Any) -> tuple[str, ...]:
    if not isinstance(images, list) or not all(isinstance(one, dict) and "image_url" in one for one in images):
        raise Refusal(invalid_value("Invalid 'images': expected objects with 'image_url'.", "images"))
    return tuple(str(one["image_url"]) for one in images)


def _model(name: Any, models: ModelTable, now: float) -> tuple[OpenAIModel, Tariff]:
    model = models.openai.get(str(name))
    if model is None:
        raise Refusal(model_not_found(str(name)))
    if is_shut_down(model, now):
        raise Refusal(model_shut_down(model.id))
    if model.tariff is None:
        raise Refusal(invalid_value(f"The model '{name}' does not make images.", "model"))
    return model, model.tariff


def is_shut_down(model: OpenAIModel, now: float) -> bool:
    """Whether the model is gone by the sandbox's date (UTC)."""
    return model.shutdown is not None and datetime.fromtimestamp(now, UTC).date() >= model.shutdown


def _size(text: str, model: OpenAIModel) -> tuple[int, int]:
    try:
        return free_size(text) if model.free_size else fixed_size(text)
    except SizeRefused as refused:
        raise Refusal(invalid_value(str(refused), "size")) from refused


def _prompt(fields: Json) -> str:
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refusal(invalid_value("Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter"))
    if len(prompt) > MAX_PROMPT:
        message = f"Invalid 'prompt': string too long. Expected a string with maximum length {MAX_PROMPT}."
        raise Refusal(invalid_value(message, "prompt", "string_above_max_length"))
    return prompt


def _choice(fields: Json, name: str, default: str, choices: frozenset[str]) -> str:
    value = fields.get(name) or default
    if value not in choices:
        supported = ", ".join(f"'{choice}'" for choice in sorted(choices))
        raise Refusal(invalid_value(f"Invalid value: '{value}'. Supported values are: {supported}.", name))
    return str(value)


def _number(fields: Json, name: str, default: int, least: int, most: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or not least <= value <= most:
        raise Refusal(invalid_value(f"Invalid '{name}': expected an integer from {least} to {most}.", name))
    return value
