"""Small things in the air: snow, rain, embers, bubbles, leaves, dust, fireflies."""

import numpy as np

from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels
from sandbox.painting.raster import add_light, blurred, tripled
from sandbox.painting.stage import Layer, Stage


def empty_layer(stage: Stage) -> Layer:
    """A layer in which nothing is painted."""
    flat = np.zeros((stage.height, stage.width), np.float32)
    return Layer(np.zeros((stage.height, stage.width, 3), np.float32), flat)


def cut_layer(paint: Pixels, mask: Pixels) -> Layer:
    """Paint of one colour or a whole layer, kept where the mask is set."""
    return Layer(tripled(mask) * paint, mask)


def put_in_front(under: Layer, over: Layer) -> Layer:
    """Two layers as one."""
    keep = 1 - over.cover
    return Layer(under.paint * tripled(keep) + over.paint, under.cover * keep + over.cover)


def specks(
    stage: Stage,
    rng: np.random.Generator,
    *,
    count: int,
    size: tuple[float, float],
    rows: tuple[float, float] = (0, 1),
    soft: float = 0.8,
) -> Pixels:
    """Amount (height, width) of soft round specks, radius between `size` units, rows as fractions of the height."""
    brush = Brush(stage)
    for _ in range(count):
        radius = (size[0] + (size[1] - size[0]) * rng.random() ** 2.2) * stage.unit
        x = rng.random() * stage.width
        y = (rows[0] + (rows[1] - rows[0]) * rng.random()) * stage.height
        brush.disc((x, y), radius, 0.35 + 0.65 * rng.random())
    return blurred(brush.mask(), soft * stage.unit)


def streaks(
    stage: Stage, rng: np.random.Generator, *, count: int, length: float, slant: float, width: float = 1.2
) -> Pixels:
    """Amount of falling streaks (rain), `length` in units, `slant` in pixels across per pixel down."""
    brush = Brush(stage)
    for _ in range(count):
        long = length * stage.unit * (0.5 + rng.random())
        x, y = rng.random() * stage.width * 1.1, rng.random() * stage.height * 1.1 - long
        brush.line([(x, y), (x + slant * long, y + long)], width * stage.unit, 0.25 + 0.75 * rng.random())
    return blurred(brush.mask(), 0.6 * stage.unit)


def lights(
    picture: Pixels, stage: Stage, colour: Pixels, amount: Pixels, *, halo: float = 6.0, strength: float = 1.0
) -> None:
    """Add glowing specks with a halo (units) round each."""
    add_light(picture, colour, amount * np.float32(strength))
    add_light(picture, colour, blurred(amount, halo * stage.unit) * np.float32(strength * 1.4))


def leaves(
    stage: Stage, rng: np.random.Generator, *, count: int, size: tuple[float, float], rows: tuple[float, float] = (0, 1)
) -> Pixels:
    """Mask of pointed leaves turned every way, length in units."""
    brush = Brush(stage)
    for _ in range(count):
        long = (size[0] + (size[1] - size[0]) * rng.random() ** 2) * stage.unit
        x, y = rng.random() * stage.width, (rows[0] + (rows[1] - rows[0]) * rng.random()) * stage.height
        turn, flat = rng.random() * 2 * np.pi, 0.18 + 0.3 * rng.random()
        along = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        px = np.cos(along) * long
        py = np.sin(along) * long * flat * (1 - 0.35 * np.cos(along))
        shape = np.stack([x + px * np.cos(turn) - py * np.sin(turn), y + px * np.sin(turn) + py * np.cos(turn)], axis=1)
        brush.polygon(shape.astype(np.float32), 0.75 + 0.25 * rng.random())
    return brush.mask()
