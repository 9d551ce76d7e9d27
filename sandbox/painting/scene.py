"""Painting a place, with or without a figure, at the size that the painter works in."""

import cv2
import numpy as np

from sandbox.painting.colour import Bytes
from sandbox.painting.compose import compose
from sandbox.painting.figure import Cutout
from sandbox.painting.finish import finish
from sandbox.painting.noise import rng_for
from sandbox.painting.stage import Stage, Theme

_LARGEST_AREA = 1920 * 1080  # pixels painted; larger pictures are enlarged from this
_SHORTEST_SIDE = 200  # pixels painted; smaller pictures are reduced from this


def paint_scene(theme: Theme, prompt: str, seed: str, size: tuple[int, int], figure: Cutout | None) -> Bytes:
    """A place as 8-bit RGB of `size` (width, height), with the figure in it if there is one."""
    rng = rng_for("scene", theme.name, prompt, seed)
    stage = _stage(size, rng)
    scene = theme.paint(stage, rng)
    return finish(compose(stage, scene, figure), rng)


def _stage(size: tuple[int, int], rng: np.random.Generator) -> Stage:
    """Figure on one third, eye-catcher on the other; closer together in an upright frame."""
    width, height = size
    aspect = min(max(width / height, 0.4), 2.0)
    figure = 0.04 + 0.075 * aspect + 0.015 * rng.random()
    focus = 0.165 + 0.02 * aspect + 0.03 * rng.random()
    side = 1 if rng.random() < 0.5 else -1
    return Stage(width, height, 0.5 - side * figure, 0.5 + side * focus)


def painted_size(width: int, height: int) -> tuple[int, int]:
    """The size in which a picture of `width` x `height` is painted, before it is scaled."""
    scale = min(1.0, (_LARGEST_AREA / (width * height)) ** 0.5)
    scale = max(scale, _SHORTEST_SIDE / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def at_size(picture: Bytes, width: int, height: int) -> Bytes:
    """A painted picture at exactly `width` x `height`."""
    if picture.shape[:2] == (height, width):
        return picture
    kind = cv2.INTER_LANCZOS4 if width > picture.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=kind), np.uint8)
