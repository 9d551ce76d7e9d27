"""What grows: silhouettes of conifers, crowns, trunks, grass; all as masks."""

import numpy as np

from sandbox.painting.brush import Brush, Point
from sandbox.painting.colour import Pixels
from sandbox.painting.stage import Stage


def conifer(
    brush: Brush, rng: np.random.Generator, foot: Point, height: float, *, lean: float = 0.0, shade: float = 1.0
) -> None:
    """A spruce with ragged branches, `height` in pixels."""
    x, y = foot
    reach = height * (0.17 + 0.05 * rng.random())
    tiers = int(11 + min(height, 500) / 30)
    left: list[Point] = []
    right: list[Point] = []
    for tier in range(1, tiers):
        share = tier / tiers
        wide = reach * share**0.9 * (0.75 + 0.5 * rng.random())
        level = y - height + share * height * 0.95
        centre = x + lean * (1 - share) * height
        sag = height * 0.028 * rng.random()
        left += [(centre - wide, level + sag), (centre - wide * 0.42, level - height * 0.004)]
        right += [
            (centre + wide * (0.8 + 0.4 * rng.random()), level + sag),
            (centre + wide * 0.42, level - height * 0.004),
        ]
    trunk = height * 0.014
    foot_line = [(x + trunk, y - height * 0.05), (x + trunk, y + 8), (x - trunk, y + 8), (x - trunk, y - height * 0.05)]
    brush.polygon([(x + lean * height, y - height), *right, *foot_line, *reversed(left)], shade)


def crown(brush: Brush, rng: np.random.Generator, centre: Point, radius: float, shade: float = 1.0) -> None:
    """A round leafy crown made of overlapping clumps."""
    for _ in range(18):
        angle, far = rng.random() * 2 * np.pi, radius * 0.62 * np.sqrt(rng.random())
        at = (centre[0] + far * np.cos(angle) * 1.1, centre[1] + far * np.sin(angle) * 0.85)
        brush.disc(at, radius * (0.28 + 0.26 * rng.random()), shade)


def trunk(
    brush: Brush, rng: np.random.Generator, x: float, *, top: float, bottom: float, width: float, shade: float = 1.0
) -> None:
    """A tree trunk from `top` to `bottom`, flaring at the foot, slightly bent."""
    steps = np.linspace(0, 1, 14)
    bend = np.cumsum(rng.normal(0, width * 0.05, 14)) + (rng.random() - 0.5) * width * 0.6 * steps
    flare = width * (0.5 + 0.5 * np.clip((steps - 0.86) / 0.14, 0, 1) ** 2)
    taper = 0.72 + 0.28 * steps
    level = top + (bottom - top) * steps
    left = list(zip(x + bend - flare * taper, level, strict=True))
    right = list(zip(x + bend + flare * taper, level, strict=True))
    brush.polygon(np.array([*left, *reversed(right)], np.float32), shade)


def branch(
    brush: Brush,
    rng: np.random.Generator,
    start: Point,
    *,
    angle: float,
    length: float,
    width: float,
    shade: float = 1.0,
) -> None:
    """A forking bough; `angle` in radians, 0 pointing right, negative upwards."""
    if length < width or width < 0.8:
        return
    x, y = start
    for _ in range(3):
        angle += rng.normal(0, 0.16)
        end = (x + np.cos(angle) * length / 3, y + np.sin(angle) * length / 3)
        brush.line([(x, y), end], width, shade)
        x, y = end
        width *= 0.82
        if rng.random() < 0.75:
            turn = rng.choice([-1.0, 1.0]) * (0.5 + 0.4 * rng.random())
            branch(brush, rng, (x, y), angle=angle + turn, length=length * 0.55, width=width * 0.7, shade=shade)


def grass(
    brush: Brush,
    rng: np.random.Generator,
    stage: Stage,
    *,
    count: int,
    ground: float | Pixels,
    spread: float,
    height: float,
) -> None:
    """Blades up to `height` units high, rooted at most `spread` (fraction of the height) below `ground`.

    `ground` is a level (fraction of the height) or a line of one row in pixels per column.
    """
    unit = stage.unit
    xs = rng.random(count) * (stage.width - 1)
    level = ground * stage.height if isinstance(ground, float) else ground[xs.astype(np.int32)]
    roots = level + spread * stage.height * rng.random(count)
    tall = height * unit * (0.45 + 0.55 * rng.random(count))
    bow = (rng.random(count) - 0.5) * tall * 0.8
    thick = 1.0 * unit * (0.8 + 1.3 * rng.random(count))
    for x, root, up, sway, wide in zip(xs, roots, tall, bow, thick, strict=True):
        middle = (x + sway * 0.25, root - up * 0.6)
        blade = [(x - wide, root), middle, (x + sway, root - up), (middle[0] + wide, middle[1]), (x + wide, root)]
        brush.polygon(blade)
