"""Hard-edged, anti-aliased shapes drawn into a mask that is then laid into the picture."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sandbox.painting.colour import Bytes, Pixels
from sandbox.painting.stage import Stage

Point = tuple[float, float]

_SHIFT = 4  # cv2 takes coordinates as fixed point with this many fractional bits
_SCALE = 1 << _SHIFT
_FAR = 20_000  # pixels; keeps fixed point coordinates inside 32 bits


def _fixed(points: Sequence[Point] | Pixels) -> npt.NDArray[np.int32]:
    array = np.clip(np.asarray(points, np.float64).reshape(-1, 2), -_FAR, _FAR)
    return np.round(array * _SCALE).astype(np.int32)


class Brush:
    """A mask of the stage's size; coordinates are pixels, shades 0..1."""

    def __init__(self, stage: Stage) -> None:
        self._mask: Bytes = np.zeros((stage.height, stage.width), np.uint8)

    def polygon(self, points: Sequence[Point] | Pixels, shade: float = 1.0) -> None:
        """A filled polygon."""
        cv2.fillPoly(self._mask, [_fixed(points)], _level(shade), cv2.LINE_AA, _SHIFT)

    def polygons(self, shapes: Iterable[Sequence[Point] | Pixels], shade: float = 1.0) -> None:
        """Many filled polygons, each on its own, so that overlaps stay filled."""
        for shape in shapes:
            self.polygon(shape, shade)

    def line(self, points: Sequence[Point] | Pixels, thickness: float, shade: float = 1.0) -> None:
        """An open line through the points."""
        width = max(1, round(thickness))
        cv2.polylines(self._mask, [_fixed(points)], False, _level(shade), width, cv2.LINE_AA, _SHIFT)

    def disc(self, centre: Point, radius: float, shade: float = 1.0) -> None:
        """A filled circle."""
        self.ellipse(centre, (radius, radius), 0, shade)

    def ellipse(self, centre: Point, radii: Point, angle: float = 0, shade: float = 1.0) -> None:
        """A filled ellipse, turned by `angle` degrees clockwise."""
        (x, y), (across, down) = _fixed([centre])[0], _fixed([radii])[0]
        axes = (max(int(across), 1), max(int(down), 1))
        cv2.ellipse(self._mask, (int(x), int(y)), axes, angle, 0, 360, _level(shade), -1, cv2.LINE_AA, _SHIFT)

    def below(self, line: Pixels) -> None:
        """Everything under a line of one height per column."""
        columns = np.arange(len(line), dtype=np.float32)
        height = self._mask.shape[0]
        edge = np.stack([columns, line], axis=1)
        corners = np.array([[len(line), line[-1]], [len(line), height + 2], [0, height + 2]], np.float32)
        self.polygon(np.concatenate([edge, corners]))

    def mask(self) -> Pixels:
        """The drawing so far, as float32 0..1."""
        return self._mask.astype(np.float32) * np.float32(1 / 255)


def _level(shade: float) -> int:
    return round(255 * min(max(shade, 0.0), 1.0))
