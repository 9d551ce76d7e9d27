"""What the painter is asked for, and how it says no."""

from dataclasses import dataclass
from typing import Literal

OutputFormat = Literal["png", "webp", "jpeg"]
Drawing = Literal["full", "fast"]

LONGEST_SIDE = 4096  # pixels; the largest size any of the imitated providers sells is 3840
WIDEST_ASPECT = 3.0


class PaintingError(ValueError):
    """The brief cannot be painted."""


class UnpaintableSize(PaintingError):
    """Width and height are outside what the painter can do."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"cannot paint {width}x{height} pixels")
        self.width = width
        self.height = height


class UnreadableReference(PaintingError):
    """A reference is not a picture that can be decoded.

    `index` counts from 0 in the order in which the references were given.
    """

    def __init__(self, index: int, size_bytes: int) -> None:
        super().__init__(f"reference {index} ({size_bytes} bytes) is not a readable picture")
        self.index = index
        self.size_bytes = size_bytes


@dataclass(frozen=True)
class PaintBrief:
    """All that a provider gets: words, a seed, a size in pixels, and encoded reference pictures.

    `drawing="fast"` gives tiny pictures (longer side 96 pixels) for load tests.
    """

    prompt: str
    seed: str
    width: int
    height: int
    references: tuple[bytes, ...] = ()
    output_format: OutputFormat = "png"
    drawing: Drawing = "full"

    def check_size(self) -> None:
        """Raise `UnpaintableSize` unless the size lies within the painter's limits."""
        shorter, longer = sorted((self.width, self.height))
        if shorter < 1 or longer > LONGEST_SIDE or longer > WIDEST_ASPECT * shorter:
            raise UnpaintableSize(self.width, self.height)
