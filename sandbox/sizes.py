"""Pixel sizes: what each way of asking for a size means, and which sizes are refused."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.models import Sizing

Size = tuple[int, int]

MAX_SIDE: Final = 3840
MIN_PIXELS: Final = 655_360
MAX_PIXELS: Final = 8_294_400
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")

_GPT: Final[Mapping[str, Size]] = {"1:1": (1024, 1024), "3:2": (1536, 1024), "2:3": (1024, 1536)}
_GPT_FREE: Final[Mapping[str, Size]] = {
    **_GPT,
    "auto": (1024, 1024),
    "4:3": (1536, 1152),
    "3:4": (1152, 1536),
    "16:9": (2048, 1152),
    "9:16": (1152, 2048),
}
_FLUX: Final[Mapping[str, Size]] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
    "custom": (1024, 1024),
}
OPENAI_FIXED: Final[Mapping[str, Size]] = {
    "auto": (1024, 1024),
    "1024x1024": (1024, 1024),
    "1536x1024": (1536, 1024),
    "1024x1536": (1024, 1536),
}


class SizeRefused(ValueError):
    """A size that a model does not paint; the message is OpenAI's own."""


def free_size(text: str) -> Size:
    """Pixels of a `WxH` that gpt-image-2 and later would accept, or of "auto". Raises SizeRefused."""
    if text == "auto":
        return OPENAI_FIXED["auto"]
    match = _SIZE.fullmatch(text)
    if not match:
        raise SizeRefused(f"Invalid size '{text}'. Expected 'auto' or a size such as '1024x1024'.")
    width, height = int(match[1]), int(match[2])
    if width % 16 or height % 16:
        raise SizeRefused(f"Invalid size '{text}'. Width and height must both be divisible by 16.")
    if max(width, height) > MAX_SIDE:
        raise SizeRefused(f"Invalid size '{text}'. The longest edge must be at most {MAX_SIDE} pixels.")
    if not MIN_PIXELS <= width * height <= MAX_PIXELS:
        raise SizeRefused(
            f"Invalid size '{text}'. The total number of pixels must be between {MIN_PIXELS} and {MAX_PIXELS}."
        )
    if max(width, height) > 3 * min(width, height):
        raise SizeRefused(f"Invalid size '{text}'. The aspect ratio must be between 1:3 and 3:1.")
    return width, height


def fixed_size(text: str) -> Size:
    """Pixels of a size that gpt-image-1 and 1.5 accept. Raises SizeRefused."""
    if size := OPENAI_FIXED.get(text):
        return size
    raise SizeRefused(
        f"Invalid size '{text}'. Supported values are: '1024x1024', '1024x1536', '1536x1024', and 'auto'."
    )


def replicate_size(sizing: Sizing, values: Mapping[str, Any]) -> Size:
    """Pixels of a Replicate model's picture by its (validated) input. Raises SizeRefused for a bad `WxH`."""
    ratio = str(values.get("aspect_ratio", "1:1"))
    match sizing:
        case "gpt":
            return _GPT[ratio]
        case "gpt-free":
            return _GPT_FREE[ratio] if ratio in _GPT_FREE else free_size(ratio)
        case "flux" if ratio != "custom":
            return _FLUX[ratio]
        case "resolution":
            side = int(values.get("image_resolution", 512))
            return side, side
        case _:
            return int(values.get("width", 1024)), int(values.get("height", 1024))
