"""Skies: graded air, suns, stars, clouds, curtains of northern light, shafts."""

from collections.abc import Sequence

import numpy as np

from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, ramp
from sandbox.painting.noise import fbm, profile, smoothstep
from sandbox.painting.raster import add_light, blurred, remapped, resized, shifted
from sandbox.painting.stage import Stage


def graded(stage: Stage, stops: Sequence[str], horizon: float) -> Pixels:
    """A picture filled with a vertical gradient: first stop at the top, last at `horizon` (fraction of the height)."""
    column = ramp(stops, stage.rows()[:, 0] / np.float32(stage.height * horizon))
    return np.asarray(np.repeat(column[:, None, :], stage.width, axis=1), np.float32)


def distance(stage: Stage, x: float, y: float, squash: float = 1.0) -> Pixels:
    """Distance in pixels of every pixel from the point (x, y in fractions); `squash` above 1 flattens the circles."""
    across = stage.columns() - np.float32(x * stage.width)
    down = (stage.rows() - np.float32(y * stage.height)) * np.float32(squash)
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def glow(
    picture: Pixels, stage: Stage, at: tuple[float, float], colour: Pixels, *, radius: float, strength: float
) -> None:
    """Soft light round a point (fractions); `radius` is in units, where 1000 is about half the frame."""
    small = stage.reduced(8)
    fall = np.exp(-distance(small, *at) / np.float32(radius * small.unit))
    add_light(picture, colour, fall * np.float32(strength))


def disc(picture: Pixels, stage: Stage, at: tuple[float, float], colour: Pixels, radius: float) -> None:
    """A sun or moon with a clean rim; `radius` in units."""
    far = distance(stage, *at)
    edge = np.clip((np.float32(radius * stage.unit) - far) / np.float32(max(1.2, stage.unit)) + 0.5, 0, 1)
    rows = slice(max(0, int(at[1] * stage.height - 2 * radius * stage.unit)), None)
    picture[rows] += (colour - picture[rows]) * edge[rows][..., None]


def stars(
    picture: Pixels, stage: Stage, rng: np.random.Generator, *, count: int, horizon: float, power: float = 1.0
) -> None:
    """Points of many magnitudes, denser higher up, fading out towards `horizon` (fraction)."""
    light = np.zeros((stage.height, stage.width), np.float32)
    rows = (rng.random(count) ** 1.4 * stage.height * horizon).astype(np.int32)
    columns = (rng.random(count) * stage.width).astype(np.int32)
    light[np.minimum(rows, stage.height - 1), np.minimum(columns, stage.width - 1)] = rng.random(count) ** 4
    size = stage.unit
    shine = blurred(light, 0.75 * size) * np.float32(4.2 * size) + blurred(light * light, 2.1 * size) * np.float32(
        9 * size
    )
    shine *= np.clip(1.1 - stage.rows() / np.float32(stage.height * horizon), 0, 1)
    add_light(picture, np.array([0.90, 0.95, 1.0], np.float32), shine * np.float32(power))


def cloud_cover(
    stage: Stage,
    rng: np.random.Generator,
    *,
    coverage: float,
    cells: float = 5,
    stretch: float = 0.33,
    sharp: float = 6,
) -> Pixels:
    """Density 0..1 of domain-warped clouds at the stage's size; `coverage` 0 is none, 1 is all."""
    height, width = stage.height, stage.width
    warp = fbm(rng, height, width, cells=2.2, octaves=4) - np.float32(0.5)
    body = fbm(rng, height, width, cells=cells, octaves=6, gain=0.54, stretch=stretch)
    body = remapped(
        body, stage.columns() + warp * np.float32(240 * stage.unit), stage.rows() + warp * np.float32(90 * stage.unit)
    )
    threshold = float(np.quantile(body[::4, ::4], 1 - coverage))
    return np.asarray(np.clip((body - threshold) * np.float32(sharp), 0, 1), np.float32)


def clouds(
    picture: Pixels,
    stage: Stage,
    density: Pixels,
    *,
    lit: Pixels,
    shade: Pixels,
    towards: tuple[float, float],
    opacity: float = 0.85,
) -> None:
    """Lay clouds (density at any smaller size) over the picture, shaded away from the light."""
    unit = stage.unit * density.shape[0] / stage.height
    occluded = blurred(
        shifted(density, -44 * unit * towards[0], -44 * unit * towards[1], stretch_border=True), 16 * unit
    )
    bright = np.clip(1 - 0.85 * occluded + 0.28 * (1 - density), 0, 1.1)[..., None]
    paint = (lit * bright + shade * (1 - bright)).astype(np.float32)
    cover = (density * np.sqrt(density) * np.float32(opacity)).astype(np.float32)
    premultiplied = resized(
        np.concatenate([paint * cover[..., None], cover[..., None]], axis=2), stage.width, stage.height
    )
    picture *= 1 - premultiplied[..., 3:]
    picture += premultiplied[..., :3]


def curtains(picture: Pixels, stage: Stage, rng: np.random.Generator, hues: Sequence[str], strength: float) -> None:
    """Northern lights: hanging folds with vertical rays, one per hue, brightest at their lower hem."""
    small = stage.reduced(2)
    height, width = small.height, small.width
    light = np.zeros((height, width, 3), np.float32)
    for index, hue in enumerate(hues):
        hem = height * (0.50 - 0.095 * index) + height * 0.22 * (
            profile(rng, width, cells=3, octaves=3) - np.float32(0.5)
        )
        hem += height * 0.10 * np.sin(np.linspace(0, 5, width) * (1.0 + 0.6 * rng.random()) + rng.random() * 6)
        rays = 0.25 + 1.25 * profile(rng, width, cells=34, octaves=3, gain=0.7) ** 2
        fold = smoothstep(0.15, 0.75, profile(rng, width, cells=2.6, octaves=3))
        above = (hem[None, :] - small.rows()) / np.float32(height * (0.34 + 0.1 * index))
        body = np.where(above > 0, np.exp(-above * np.float32(2.6)), np.exp(np.minimum(above, 0) * np.float32(22)))
        colour = linear(hue) + (linear("#7a3cff") - linear(hue)) * np.clip(above * 0.9, 0, 1)[..., None] * np.float32(
            0.8
        )
        light += (body * rays[None, :] * fold[None, :])[..., None] * colour
    picture += resized(blurred(light, 1.6 * small.unit), stage.width, stage.height) * np.float32(strength)


def shafts(
    stage: Stage,
    rng: np.random.Generator,
    source: tuple[float, float],
    *,
    beams: float,
    reach: float,
    sharp: float = 2.0,
) -> Pixels:
    """Light shafts fanning out from a source (fractions, may lie outside the frame), at a quarter of the stage's size.

    `reach` is the length in frame heights after which they have faded to a third.
    """
    small = stage.reduced(4)
    across = small.columns() - np.float32(source[0] * small.width)
    down = small.rows() - np.float32(source[1] * small.height)
    angle = np.arctan2(down, across)
    table = profile(rng, 2048, cells=beams, octaves=3, gain=0.6) ** np.float32(sharp)
    beam = np.interp(angle, np.linspace(-np.pi, np.pi, 2048), table).astype(np.float32)
    fade = np.exp(-np.sqrt(across * across + down * down) / np.float32(reach * small.height))
    return blurred((beam * fade).astype(np.float32), 2.2 * small.unit)


def birds(
    picture: Pixels, stage: Stage, rng: np.random.Generator, at: tuple[float, float], *, colour: Pixels, count: int
) -> None:
    """A loose flock of distant birds round a point (fractions)."""
    brush = Brush(stage)
    unit = stage.unit
    for _ in range(count):
        x = at[0] * stage.width + rng.normal() * 110 * unit
        y = at[1] * stage.height + rng.normal() * 34 * unit
        span = (7 + 8 * rng.random()) * unit
        lift = span * (0.25 + 0.4 * rng.random())
        brush.line([(x - span, y - lift), (x - span * 0.4, y - lift * 0.8), (x, y)], 1.6 * unit)
        brush.line([(x, y), (x + span * 0.45, y - lift * 0.9), (x + span, y - lift * 0.7)], 1.6 * unit)
    picture += (colour - picture) * brush.mask()[..., None] * np.float32(0.8)
