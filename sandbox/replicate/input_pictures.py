"""What a model sees in its input picture: how large it is, whether it is too large, and the lines of a sketch."""

import io
from typing import Final

from PIL import Image, ImageOps

from sandbox.replicate.predictions import PicturePlan

Size = tuple[int, int]

_GRID: Final = 64  # ControlNet rounds both sides to multiples of it


class InputTooLarge(Exception):
    """An input picture that does not fit the model's memory. `reason` is what Real-ESRGAN says, word for word."""

    def __init__(self, width: int, height: int, most: int) -> None:
        self.reason = (
            f"Input image of dimensions ({height}, {width}, 3) has a total number of pixels {width * height} greater than "
            f"the max size that fits in GPU memory on this hardware, {most}. Resize input image and try again."
        )
        super().__init__(self.reason)


def check_size(picture: bytes, most_pixels: int) -> None:
    """Raise InputTooLarge for a picture of more than `most_pixels`, ValueError for one that is none."""
    width, height = _size_of(picture)
    if width * height > most_pixels:
        raise InputTooLarge(width, height, most_pixels)


def followed_size(plan: PicturePlan, picture: bytes) -> Size:
    """(width, height) in pixels of what a model makes whose picture follows its input. Raises ValueError for no picture."""
    width, height = _size_of(picture)
    if plan.follows == "size":
        return width, height
    factor = min(plan.width, plan.height) / min(width, height)
    return _on_grid(width * factor), _on_grid(height * factor)


def sketch_lines(picture: bytes, size: Size, output_format: str) -> bytes:
    """The lines that ControlNet saw in a sketch, white on black, at `size` (pixels). Raises ValueError for no picture."""
    try:
        with Image.open(io.BytesIO(picture)) as image:
            lines = ImageOps.invert(image.convert("L")).resize(size).point(lambda grey: 255 if grey > 127 else 0)
    except OSError as error:
        raise ValueError("cannot identify image file") from error
    buffer = io.BytesIO()
    lines.convert("RGB").save(buffer, output_format)
    return buffer.getvalue()


def _size_of(picture: bytes) -> Size:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            return image.size
    except OSError as error:
        raise ValueError("cannot identify image file") from error


def _on_grid(side: float) -> int:
    return max(1, round(side / _GRID)) * _GRID
