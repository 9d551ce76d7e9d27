"""Land and water: mountain ranges with aerial perspective, rolling ground, reflecting lakes."""

from dataclasses import dataclass

import cv2
import numpy as np

from sandbox.painting.colour import Pixels
from sandbox.painting.noise import fbm, profile
from sandbox.painting.raster import blurred, remapped, resized, tripled
from sandbox.painting.stage import Stage


@dataclass(frozen=True)
class Relief:
    """How a range of hills looks; colours are linear light, `mist` 0..1 is how much haze fills its foot."""

    colour: Pixels
    haze: Pixels
    sun: Pixels
    mist: float = 0.5
    relief: float = 0.7  # contrast of its slopes
    sunlit: float = 0.12
    snow: float = 0.0  # how far down snow reaches, as a fraction of the frame's height
    cells: float = 6.0  # size of its folds


def skyline(
    stage: Stage,
    rng: np.random.Generator,
    *,
    base: float,
    rise: float,
    cells: float,
    ridged: bool = True,
    gain: float = 0.44,
    gap: float = 0.0,
) -> Pixels:
    """A line of hills: row in pixels per column; `base` and `rise` are fractions of the height.

    `gap` 0..1 opens a valley at the eye-catcher of the scene.
    """
    height = stage.height * rise
    # The same hills, not the same number of hills, whatever the shape of the frame.
    broad = min(max(stage.width / stage.height / 1.78, 0.35), 1.6)
    crest = profile(rng, stage.width, cells=cells * broad, octaves=7, ridged=ridged, gain=gain)
    across = np.linspace(0, 1, stage.width, dtype=np.float32) - np.float32(stage.focus_x)
    crest *= 1 - np.float32(gap) * np.exp(-((across / np.float32(0.17)) ** 2))
    return (stage.height * base - height * crest).astype(np.float32)


def cover_below(stage: Stage, line: Pixels) -> Pixels:
    """Mask of everything under a skyline, with a soft edge of one pixel."""
    return np.asarray(np.clip(stage.rows() - line[None, :] + np.float32(0.5), 0, 1), np.float32)


def hills(
    picture: Pixels, stage: Stage, rng: np.random.Generator, line: Pixels, look: Relief, *, until: float = 1.0
) -> None:
    """Lay a range under its skyline, shaded by its slopes, down to the row `until` (fraction of the height)."""
    top = max(0, int(line.min()) - 2)
    bottom = min(stage.height, int(stage.height * until))
    if bottom - top < 4:
        return
    band = picture[top:bottom]
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    shade, rough = _slopes(stage, rng, line, bottom - top, look)
    deep = np.clip((rows - line[None, :]) / np.float32(stage.height * 0.26), 0, 1)
    body = tripled(np.float32(0.70) + np.float32(look.relief) * shade) * look.colour
    body += tripled(shade**3 * np.float32(look.sunlit)) * look.sun
    if look.snow > 0:
        reach = np.float32(stage.height * look.snow) * (np.float32(0.35) + rough * np.float32(1.3))
        white = np.clip((line[None, :] + reach - rows) / np.float32(0.03 * stage.height), 0, 1)
        white *= np.float32(0.35) + np.float32(0.65) * shade
        snow = look.sun * np.float32(0.35) + np.array([0.62, 0.66, 0.76], np.float32)
        body += (snow * (np.float32(0.28) + look.haze * np.float32(0.80)) - body) * tripled(white)
    mist = deep * np.sqrt(deep) * np.float32(look.mist)
    body += (look.haze - body) * tripled(mist)
    cover = np.clip(rows - line[None, :] + np.float32(0.5), 0, 1)
    band += (body - band) * tripled(cover)


def _slopes(stage: Stage, rng: np.random.Generator, line: Pixels, rows: int, look: Relief) -> tuple[Pixels, Pixels]:
    """Light on the folds (0..1) and the folds themselves, both for the band of rows; painted at half size."""
    height, width = max(4, rows // 2), max(4, stage.width // 2)
    rough = fbm(rng, height, width, cells=look.cells, octaves=4, gain=0.42, ridged=True, stretch=0.55)
    across = np.asarray(cv2.Sobel(rough, cv2.CV_32F, 1, 0, ksize=5), np.float32)
    down = np.asarray(cv2.Sobel(rough, cv2.CV_32F, 0, 1, ksize=5), np.float32)
    smooth = blurred(np.tile(line[None, ::2][:, :width], (4, 1)), 5 * stage.unit)[1]
    fall = np.gradient(smooth)[None, :]
    side = np.float32(stage.side)
    slope = across * side + down * np.float32(0.5)
    slope /= np.float32(max(float(slope[::4, ::4].std()), 1e-4))
    shade = np.float32(0.5) - np.float32(0.20) * np.tanh(slope * np.float32(0.8))
    shade = np.clip(shade - np.float32(0.30) * np.tanh(fall * side * np.float32(1.1)), 0, 1).astype(np.float32)
    return resized(shade, stage.width, rows), resized(rough, stage.width, rows)


@dataclass(frozen=True)
class Water:
    """A mirror of the picture above its edge; `near` is the colour under the viewer."""

    near: Pixels
    sun: Pixels
    sun_x: float
    clear: float = 0.92  # how bright the reflection is at the far shore
    ripple: float = 1.0
    glitter: float = 1.2
    path: float = 0.05  # half width of the path of light, fraction of the width


def lake(picture: Pixels, stage: Stage, rng: np.random.Generator, edge: float, look: Water) -> None:
    """Fill everything below `edge` (fraction) with water that mirrors what is painted above."""
    shore = int(stage.height * edge)
    rows = stage.height - shore
    if rows < 4:
        return
    height, width = stage.height, stage.width
    depth = (np.arange(rows, dtype=np.float32) / rows)[:, None]
    waves = _waves(rng, rows, width) * np.float32(look.ripple)
    away = np.arange(rows, dtype=np.float32)[:, None]
    unit = np.float32(stage.unit)
    map_y = np.clip(shore - away * np.float32(1.02) + waves * (8 + 62 * depth) * unit, 0, shore - 1)
    map_x = stage.columns() + waves * (5 + 24 * depth) * unit
    mirror = remapped(picture[:shore], map_x, map_y)
    mirror *= (np.float32(0.86) - np.float32(0.42) * depth)[..., None] * np.float32(look.clear)
    mirror += look.near * (np.float32(0.08) + np.float32(0.30) * depth)[..., None]
    breadth = np.float32(width) * (np.float32(look.path) + np.float32(0.12) * depth)
    lane = np.exp(-(((stage.columns() - np.float32(look.sun_x * width)) / breadth) ** 2))
    sparkle = np.clip(waves * np.float32(3.4) - np.float32(0.30), 0, 1.4) * lane * (1 - np.float32(0.5) * depth)
    mirror += tripled(sparkle * np.float32(look.glitter)) * look.sun
    picture[shore:] = mirror
    thin = max(1, round(2.2 * stage.unit))
    line = slice(max(0, shore - thin // 2), min(height, shore + thin))
    picture[line] = picture[line] * np.float32(0.6) + look.sun * np.float32(0.10)


def _waves(rng: np.random.Generator, rows: int, width: int) -> Pixels:
    """Ripples around zero that grow towards the viewer: noise on a plane, seen at a low angle."""
    flat = fbm(rng, 256, max(64, width // 3), cells=24, octaves=4, gain=0.6, stretch=0.16) - np.float32(0.5)
    depth = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    near = 1 / (np.float32(0.09) + depth)
    map_y = (near / near.max() * 254 + np.zeros((1, width), np.float32)).astype(np.float32)
    map_x = np.linspace(0, max(64, width // 3) - 1, width, dtype=np.float32)[None, :] + np.zeros((rows, 1), np.float32)
    return remapped(flat, map_x, map_y)
