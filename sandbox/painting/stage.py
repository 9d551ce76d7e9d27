"""The frame in which a scene is painted: its size, its unit, and which side belongs to whom."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sandbox.painting.colour import Pixels


@dataclass(frozen=True)
class Stage:
    """A frame of `width` x `height` pixels; the figure stands at `figure_x`, the eye-catcher of the scene at `focus_x`.

    Both are fractions of the width. `side` is +1 when the eye-catcher (and with it the light) is at the right.
    """

    width: int
    height: int
    figure_x: float
    focus_x: float

    @property
    def side(self) -> int:
        """+1: focus at the right; -1: at the left."""
        return 1 if self.focus_x >= self.figure_x else -1

    @property
    def unit(self) -> float:
        """Pixels that count as one at 1920x1080, so that brush sizes follow the size of the picture."""
        return float(np.sqrt(self.width * self.height) / 1440)

    def rows(self) -> Pixels:
        """Row numbers as a column, shape (height, 1)."""
        return np.arange(self.height, dtype=np.float32)[:, None]

    def columns(self) -> Pixels:
        """Column numbers as a row, shape (1, width)."""
        return np.arange(self.width, dtype=np.float32)[None, :]

    def reduced(self, factor: int) -> "Stage":
        """The same frame, painted smaller: for soft things that are enlarged afterwards."""
        return Stage(max(8, self.width // factor), max(8, self.height // factor), self.figure_x, self.focus_x)


@dataclass(frozen=True)
class Light:
    """How a scene lights what stands in it; colours are linear light.

    `towards` points from the figure to the light, x right and y down, length about 1.
    """

    key: Pixels
    ambient: Pixels
    towards: tuple[float, float]
    haze: Pixels
    haze_share: float = 0.06
    exposure: float = 1.0  # how bright the figure's own colours appear
    rim: float = 0.8
    floor_glow: float = 0.0  # light from below: lava, wet neon, a candle on the table


@dataclass(frozen=True)
class Layer:
    """Paint in front of everything: colours already multiplied by `cover`, both as large as the picture."""

    paint: Pixels
    cover: Pixels


@dataclass(frozen=True)
class Scene:
    """A painted place without its figure, in linear light."""

    picture: Pixels
    light: Light
    front: Layer | None = None


class Theme(Protocol):
    """One kind of place."""

    @property
    def name(self) -> str:
        """Stable name, such as `alpine-dusk`."""

    @property
    def words(self) -> dict[str, int]:
        """Words of a prompt that speak for this theme, each with its weight."""

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint the place into the frame."""
