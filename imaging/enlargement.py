"""Whether an enlarged picture has the size that was paid for."""

from errors import OutputWrongSize
from imaging.crop import Size

# Models round sides to multiples of what they work with: of 8 pixels, mostly.
ROUNDING = 8


def check_enlarged(given: Size, expected: Size) -> None:
    """OutputWrongSize unless `given` (width, height in pixels) is `expected`, up to a model's rounding."""
    if any(abs(side - wanted) > ROUNDING for side, wanted in zip(given, expected, strict=True)):
        (width, height), (wanted_width, wanted_height) = given, expected
        raise OutputWrongSize(
            "the provider's picture is not as large as was asked for",
            width=width,
            height=height,
            wanted=f"{wanted_width}x{wanted_height}",
        )
