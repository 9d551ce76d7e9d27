"""An old library by candle light."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import add_light, blurred, lay, resized
from sandbox.painting.stage import Layer, Light, Scene, Stage

_FLAME = linear("#ffb04a")
_WOOD = linear("#4a2411")
_SPINES = ("#7d1f1c", "#1f4a3a", "#233a6b", "#8a5a1e", "#5a2350", "#b08d57", "#3c2a1e", "#6e3b1f", "#20525a", "#9c3b22")


class CandleLibrary:
    """Shelves to the ceiling, a moonlit arched window, candles on a long table, dust in the warm air."""

    name = "candle-library"
    words: ClassVar[dict[str, int]] = {
        "library": 4, "book": 2, "books": 3, "candle": 3, "candles": 3, "candlelight": 4, "study": 2, "indoors": 2,
        "interior": 3, "room": 2, "castle": 2, "wizard": 2, "scholar": 2, "shelves": 2, "tavern": 2, "fireplace": 2,
        "magic": 1, "hall": 2, "cozy": 2, "house": 1, "dungeon": 2, "museum": 2,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint wall, window, shelves, table, candles."""
        picture = sky.graded(stage, ["#170c0a", "#2a140c", "#3a1b0d", "#2a120a"], 1.0)
        half = 0.135 * min(1.6, stage.height / stage.width + 0.45)
        for left, right in ((-0.02, stage.focus_x - half), (stage.focus_x + half, 1.02)):
            self._bookcase(picture, stage, rng, left, right)
        candles = self._places(stage, rng)
        self._light_falls(picture, stage, candles)
        self._window(picture, stage, rng)
        self._table(picture, stage, rng)
        for place in candles:
            self._candle(picture, stage, rng, place)
        light = Light(
            key=linear("#ffbf6e"), ambient=linear("#6a5a8c"), towards=(stage.side * 0.92, 0.15), haze=linear("#6b3a1a"),
            haze_share=0.05, exposure=0.86, rim=1.0, floor_glow=0.22,
        )  # fmt: skip
        dust = particles.specks(stage, rng, count=110, size=(0.7, 3.2), rows=(0.05, 0.9), soft=1.0)
        return Scene(picture, light, Layer(dust[..., None] * _FLAME * np.float32(0.55), dust * np.float32(0.25)))

    def _window(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        x, half = stage.focus_x * stage.width, 0.098 * stage.width * min(1.6, stage.height / stage.width + 0.45)
        top, bottom = 0.13 * stage.height, 0.72 * stage.height
        arch = np.linspace(np.pi, 2 * np.pi, 40)
        outline = [(x + np.cos(a) * half, top + half + np.sin(a) * half) for a in arch]
        shape = np.array([*outline, (x + half, bottom), (x - half, bottom)], np.float32)
        pane, frame, bars = Brush(stage), Brush(stage), Brush(stage)
        pane.polygon(shape)
        night = sky.graded(stage, ["#050d2c", "#0e2462", "#2a5aa8", "#5a8cc4"], 0.78)
        sky.stars(night, stage, rng, count=1600, horizon=0.6, power=1.4)
        moon = (stage.focus_x + 0.03 * stage.side, 0.30)
        sky.glow(night, stage, moon, linear("#cfe4ff"), radius=120, strength=0.55)
        sky.disc(night, stage, moon, linear("#f4f6ff") * np.float32(1.7), 34)
        lay(picture, night, pane.mask())
        closed = np.concatenate([shape, shape[:1]])
        frame.line(closed, 24 * stage.unit)
        lay(picture, mix(_WOOD, linear("#7a4a24"), 0.2) * np.float32(0.8), frame.mask())
        for at in (-0.34, 0.34):
            bars.line([(x + at * half, top + half * 0.15), (x + at * half, bottom)], 5 * stage.unit)
        for level in np.linspace(top + half, bottom, 5):
            bars.line([(x - half, float(level)), (x + half, float(level))], 5 * stage.unit)
        lay(picture, linear("#24120a"), bars.mask() * pane.mask())
        sky.glow(picture, stage, (stage.focus_x, 0.42), linear("#5f8fff"), radius=150, strength=0.10)

    def _bookcase(self, picture: Pixels, stage: Stage, rng: np.random.Generator, left: float, right: float) -> None:
        if right - left < 0.06:
            return
        x0, x1 = left * stage.width, right * stage.width
        case, boards, gilt = Brush(stage), Brush(stage), Brush(stage)
        case.polygon([(x0, -4), (x1, -4), (x1, stage.height), (x0, stage.height)])
        lay(picture, linear("#120805"), case.mask())
        spines = {code: Brush(stage) for code in _SPINES}
        shelf = 128 * stage.unit
        for row in range(int(stage.height * 0.9 / shelf) + 1):
            floor = 40 * stage.unit + (row + 0.72) * shelf
            self._row_of_books(spines, gilt, stage, rng, (x0 + 12 * stage.unit, x1 - 12 * stage.unit, floor, shelf))
            boards.polygon([(x0, floor), (x1, floor), (x1, floor + 13 * stage.unit), (x0, floor + 13 * stage.unit)])
        for x in (x0, x1):
            boards.polygon(
                [
                    (x - 13 * stage.unit, -4),
                    (x + 13 * stage.unit, -4),
                    (x + 13 * stage.unit, stage.height),
                    (x - 13 * stage.unit, stage.height),
                ]
            )
        for code, brush in spines.items():
            lay(picture, linear(code) * np.float32(0.95), brush.mask())
        lay(picture, linear("#e8c070"), gilt.mask() * np.float32(0.65))
        lay(picture, _WOOD, boards.mask())

    def _row_of_books(
        self,
        spines: dict[str, Brush],
        gilt: Brush,
        stage: Stage,
        rng: np.random.Generator,
        box: tuple[float, float, float, float],
    ) -> None:
        x, end, floor, shelf = box
        while x < end:
            wide, tall = (9 + 17 * rng.random()) * stage.unit, shelf * (0.55 + 0.27 * rng.random())
            if rng.random() < 0.05:
                x += wide * 2.2
                continue
            lean = rng.normal() * 9 * stage.unit if rng.random() < 0.07 else 0.0
            wide = min(wide, end - x)
            code = _SPINES[int(rng.integers(len(_SPINES)))]
            book = [
                (x, floor),
                (x + lean, floor - tall),
                (x + lean + wide - 1.2, floor - tall),
                (x + wide - 1.2, floor),
            ]
            spines[code].polygon(book, 0.62 + 0.38 * rng.random())
            if lean == 0 and wide > 12 * stage.unit and rng.random() < 0.7:
                for up in (0.80, 0.18):
                    gilt.line([(x + 2, floor - tall * up), (x + wide - 4, floor - tall * up)], 1.6 * stage.unit, 0.8)
            x += wide

    def _places(self, stage: Stage, rng: np.random.Generator) -> list[tuple[float, float, float]]:
        spots = [(-0.085, 0.80), (0.0, 0.845), (0.075, 0.79), (0.17, 0.83)]
        return [
            ((stage.focus_x + dx * stage.side + 0.01 * rng.normal()), foot, (70 + 70 * rng.random()) * stage.unit)
            for dx, foot in spots
        ]

    def _light_falls(self, picture: Pixels, stage: Stage, candles: list[tuple[float, float, float]]) -> None:
        """The room darkens away from the candles; flames warm what is near."""
        small = stage.reduced(8)
        warmth = np.zeros((small.height, small.width), np.float32)
        for x, foot, tall in candles:
            far = sky.distance(small, x, foot - tall / stage.height)
            warmth += np.exp(-far / np.float32(300 * small.unit)) * np.float32(0.9)
        full = resized(warmth, stage.width, stage.height)[..., None]
        picture *= np.float32(0.26) + full * (_FLAME * np.float32(1.6) + np.float32(0.15))
        picture += full * _FLAME * np.float32(0.05)

    def _table(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        edge = 0.775
        small = stage.reduced(2)
        grain = fbm(rng, small.height, small.width, cells=44, octaves=4, gain=0.6, stretch=0.05)
        depth = np.clip((small.rows() / small.height - edge) / (1 - edge), 0, 1)
        near = np.exp(
            -(((small.columns() / small.width - stage.focus_x - 0.04) / 0.28) ** 2) - ((depth - 0.25) / 0.6) ** 2
        )
        wood = (0.35 + 0.75 * grain)[..., None] * (
            linear("#6b3315") * (0.35 + 1.5 * near)[..., None] + _FLAME * (0.22 * near)[..., None]
        )
        mask = np.clip(stage.rows() - np.float32(edge * stage.height), 0, 1) + np.zeros((1, stage.width), np.float32)
        lay(picture, resized(wood.astype(np.float32), stage.width, stage.height), mask.astype(np.float32))
        self._open_book(picture, stage)

    def _open_book(self, picture: Pixels, stage: Stage) -> None:
        x, y, unit = (stage.focus_x + 0.03 * stage.side) * stage.width, 0.905 * stage.height, stage.unit
        page, fold, text = Brush(stage), Brush(stage), Brush(stage)
        for side in (-1, 1):
            page.polygon([(x, y + 8 * unit), (x + side * 60 * unit, y - 12 * unit), (x + side * 118 * unit, y - 4 * unit), (x + side * 140 * unit, y + 44 * unit),
                          (x + side * 70 * unit, y + 36 * unit), (x, y + 58 * unit)])  # fmt: skip
            for row in range(6):
                lift = row * 6.2 * unit
                text.line(
                    [
                        (x + side * (18 + row) * unit, y + 10 * unit + lift),
                        (x + side * (100 + 3 * row) * unit, y + 1 * unit + lift),
                    ],
                    1.1 * unit,
                    0.7,
                )
        fold.line([(x, y + 8 * unit), (x, y + 58 * unit)], 3 * unit)
        lay(picture, linear("#f0d8a8") * np.float32(0.75), page.mask())
        lay(picture, linear("#6b4a2a"), text.mask() * np.float32(0.45))
        lay(picture, linear("#7a5530"), blurred(fold.mask(), 2 * unit))

    def _candle(
        self, picture: Pixels, stage: Stage, rng: np.random.Generator, place: tuple[float, float, float]
    ) -> None:
        x, foot, tall = place[0] * stage.width, place[1] * stage.height, place[2]
        unit, wide = stage.unit, (11 + 5 * rng.random()) * stage.unit
        wax, dish, flame, core = Brush(stage), Brush(stage), Brush(stage), Brush(stage)
        dish.ellipse((x, foot), (wide * 2.3, wide * 0.62))
        lay(picture, linear("#8a5f22"), dish.mask())
        wax.polygon(
            [
                (x - wide, foot),
                (x - wide, foot - tall),
                (x - wide * 0.3, foot - tall + 6 * unit),
                (x + wide, foot - tall - 2 * unit),
                (x + wide, foot),
            ]
        )
        up = np.clip((foot - stage.rows()) / np.float32(tall), 0, 1)[..., None]
        paint = linear("#c98a48") * (0.35 + 0.4 * up) + _FLAME * up**4 * np.float32(1.1)
        lay(picture, np.broadcast_to(paint, picture.shape).astype(np.float32), wax.mask())
        tip = foot - tall
        for brush, size in ((flame, 1.0), (core, 0.55)):
            high, broad = 46 * unit * size, 9.5 * unit * size
            turn = np.linspace(0, 2 * np.pi, 30)
            shape = np.stack(
                [
                    x + np.sin(turn) * broad * (0.5 + 0.5 * np.cos(turn / 2) ** 2),
                    tip - 6 * unit - high * 0.42 + np.cos(turn) * high * 0.5,
                ],
                axis=1,
            )
            brush.polygon(shape.astype(np.float32))
        add_light(picture, _FLAME, blurred(flame.mask(), 1.6 * unit) * np.float32(2.6))
        add_light(picture, linear("#fff2cc"), blurred(core.mask(), 1.0 * unit) * np.float32(1.6))
        sky.glow(picture, stage, (place[0], (tip - 22 * unit) / stage.height), _FLAME, radius=74, strength=0.55)
