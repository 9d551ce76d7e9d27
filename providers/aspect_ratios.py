"""The usual shapes of pictures by their names, and which of them a model gives."""

from collections.abc import Sequence
from math import log
from typing import Final

from providers.sizes import SizeGrid, SizeRecipe

# The wide ones of vendors, from the square to the widest; turned, they are the tall ones.
_WIDE: Final = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (2, 1), (21, 9), (3, 1))
USUAL: Final = (*_WIDE, *((height, width) for width, height in _WIDE[1:]))
# Vendors call 1344x768 and 1920x1088 16:9, too: so little is cut away unseen.
TOLERANCE: Final = 0.02


def aspect_ratios(recipes: Sequence[SizeRecipe], grid: SizeGrid | None) -> tuple[str, ...]:
    """The usual ratios of which a model gives pictures without more than a rim being cut away, such as `16:9`."""
    sizes = [recipe.gives for recipe in recipes]
    found = [one for one in USUAL if any(_is_like(one, size) for size in sizes) or _is_within(one, grid)]
    return tuple(f"{width}:{height}" for width, height in found)


def _is_like(ratio: tuple[int, int], size: tuple[int, int]) -> bool:
    return abs(log(ratio[0] * size[1] / (ratio[1] * size[0]))) <= TOLERANCE


def _is_within(ratio: tuple[int, int], grid: SizeGrid | None) -> bool:
    return grid is not None and max(ratio) <= grid.widest_ratio * min(ratio)
