"""How a wanted size is asked of a model: by a recipe from a list, or as any size that fits the model's grid."""

from math import ceil, floor, sqrt

from pydantic import Field, PositiveInt

from contracts.frozen import Frozen
from contracts.wishes import Shape

MAX_ENLARGEMENT = 1.5  # more than that shows: 1280x720 to 1920x1080 is the most that still looks right

# What a model with a grid is asked for where the client leaves the size open (pixels).
_OPEN_SIZES: dict[Shape, tuple[int, int]] = {"square": (1024, 1024), "wide": (1536, 1024), "tall": (1024, 1536)}


class SizeRecipe(Frozen):
    """What to ask a model for (`request`), and the pixels it then gives."""

    shape: Shape
    request: str
    width: PositiveInt
    height: PositiveInt
    exact: tuple[str, ...] = ()

    @property
    def gives(self) -> tuple[int, int]:
        """(width, height) in pixels of the model's picture, before any crop."""
        return self.width, self.height

    def enlargement(self, size: tuple[int, int]) -> float:
        """How much the picture must be enlarged to cover `size` (pixels); below 1 it is reduced."""
        return max(size[0] / self.width, size[1] / self.height)


class SizeGrid(Frozen):
    """All sizes whose sides are multiples of `multiple` pixels, within limits; `request` is how such a size is written.

    `least_pixels` and `most_pixels` bound width x height; `longest_side` is in pixels; `widest_ratio` is the longer side
    over the shorter one.
    """

    multiple: PositiveInt
    least_pixels: PositiveInt
    most_pixels: PositiveInt
    longest_side: PositiveInt
    widest_ratio: float = Field(ge=1)
    request: str = "{width}x{height}"

    @property
    def shortest_side(self) -> int:
        """The least that a side can be (pixels): that of the smallest picture of the widest ratio."""
        return max(1, ceil(sqrt(self.least_pixels / self.widest_ratio) / self.multiple)) * self.multiple

    def has(self, size: tuple[int, int]) -> bool:
        """True when exactly this size (pixels) can be asked for."""
        width, height = size
        return (
            min(size) > 0
            and width % self.multiple == height % self.multiple == 0
            and self.least_pixels <= width * height <= self.most_pixels
            and max(size) <= self.longest_side
            and max(size) <= self.widest_ratio * min(size)
        )

    def recipe(self, shape: Shape, size: tuple[int, int] | None) -> SizeRecipe | None:
        """The smallest size of the grid to cut `size` (pixels; None: a usual one of this shape) from.

        A size beyond the grid is made as large as can be and enlarged; None where that would show.
        """
        wanted = _OPEN_SIZES[shape] if size is None else size
        for width, height in self._near(wanted):
            if self.has((width, height)):
                request = self.request.format(width=width, height=height)
                found = SizeRecipe(shape=shape, request=request, width=width, height=height)
                return found if size is None or found.enlargement(size) <= MAX_ENLARGEMENT else None
        return None

    def _near(self, wanted: tuple[int, int]) -> list[tuple[int, int]]:
        """Sizes to try, best first: as wanted, rounded up; larger where it is too small; smaller where it is too large."""
        short = max(min(wanted), max(wanted) / self.widest_ratio)
        width, height = max(wanted[0], short), max(wanted[1], short)
        up = sqrt(max(1.0, self.least_pixels / (width * height)))
        down = min(1.0, sqrt(self.most_pixels / (width * height)), self.longest_side / max(width, height))
        return [
            self._rounded_up(width * up, height * up),
            self._rounded_down(width * up, height * up),
            self._rounded_down(width * down, height * down),
        ]

    def _rounded_up(self, width: float, height: float) -> tuple[int, int]:
        sides = ceil(width / self.multiple) * self.multiple, ceil(height / self.multiple) * self.multiple
        return self._no_wider(sides)

    def _rounded_down(self, width: float, height: float) -> tuple[int, int]:
        sides = floor(width / self.multiple) * self.multiple, floor(height / self.multiple) * self.multiple
        return self._no_wider(sides)

    def _no_wider(self, sides: tuple[int, int]) -> tuple[int, int]:
        """Rounding can make the ratio too wide by a step: then the longer side gives way by one."""
        width, height = sides
        if min(sides) > 0 and max(sides) > self.widest_ratio * min(sides):
            return (width - self.multiple, height) if width > height else (width, height - self.multiple)
        return sides
