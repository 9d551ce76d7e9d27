"""An arctic night under northern lights."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, plants, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import blurred, lay, resized
from sandbox.painting.stage import Layer, Light, Scene, Stage

_GREEN = linear("#4dffb8")
_SNOW = linear("#9cc4dc")
_NIGHT = linear("#051022")


class AuroraNight:
    """Green and violet curtains over snow fields, firs and a lit cabin."""

    name = "aurora-night"
    words: ClassVar[dict[str, int]] = {
        "aurora": 4, "northern": 2, "lights": 1, "arctic": 3, "polar": 2, "borealis": 4, "snow": 2, "snowy": 2, "winter": 2,
        "ice": 1, "icy": 1, "frozen": 2, "glacier": 2, "tundra": 3, "nordic": 2, "iceland": 2, "cabin": 1, "frost": 1,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint sky, curtains, snowy ranges, drifts, cabin."""
        horizon = 0.66 + 0.03 * rng.random()
        picture = sky.graded(stage, ["#020512", "#051226", "#0a2740", "#12485a", "#2a7f80"], horizon)
        sky.stars(picture, stage, rng, count=2200, horizon=0.66, power=1.25)
        sky.curtains(picture, stage, rng, ["#2cff9e", "#3ef0c8", "#58a8ff"], 0.85)
        sky.glow(picture, stage, (stage.focus_x, horizon), _GREEN, radius=360, strength=0.10)
        for index in range(3):
            near = index / 2
            line = terrain.skyline(
                stage, rng, base=horizon + 0.03 * near, rise=0.20 - 0.11 * near, cells=3.2 + 2 * index, gain=0.42
            )
            look = terrain.Relief(
                colour=mix(linear("#1f5a6c"), linear("#0b2438"), near), haze=linear("#1d6670"), sun=linear("#5fd0c8") * np.float32(0.7),
                mist=0.55, sunlit=0.10, snow=0.30, relief=0.6,
            )  # fmt: skip
            terrain.hills(picture, stage, rng, line, look, until=horizon + 0.12)
        ground = self._drifts(picture, stage, rng, horizon)
        self._firs(picture, stage, rng, ground)
        self._cabin(picture, stage, ground)
        light = Light(
            key=linear("#8dffd2"), ambient=linear("#6f9fd8"), towards=(stage.side * 0.65, -0.75), haze=linear("#3fae9c"),
            haze_share=0.05, exposure=0.80, rim=0.85,
        )  # fmt: skip
        return Scene(picture, light, self._snowfall(stage, rng))

    def _drifts(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> Pixels:
        line = terrain.skyline(stage, rng, base=horizon + 0.085, rise=0.045, cells=1.6, ridged=False, gain=0.35)
        small = stage.reduced(2)
        wide = fbm(rng, small.height + 3, small.width + 8, cells=10, octaves=4, gain=0.45, stretch=0.16)
        here, above = wide[3:, 4:-4], wide[:-3, 4:-4]
        beside = wide[3:, 4 - 4 * stage.side :][:, : small.width]
        folds = (1.6 * here - beside - 0.6 * above).astype(np.float32)
        depth = np.clip((small.rows() / small.height - horizon - 0.05) / (0.95 - horizon), 0, 1)
        shade = np.clip(0.36 + 3.4 * blurred(folds, 1.5) + 0.10 * depth, 0.12, 1.2)
        far = np.exp(-(((small.columns() / small.width - stage.focus_x) / 0.35) ** 2))
        glowing = (0.10 + 0.34 * far * (1 - 0.6 * depth))[..., None] * _GREEN
        snow = _SNOW * shade[..., None] * np.float32(0.62) + glowing * shade[..., None]
        snow = snow * (1 - 0.45 * depth[..., None])
        lay(picture, resized(snow.astype(np.float32), stage.width, stage.height), terrain.cover_below(stage, line))
        return line

    def _firs(self, picture: Pixels, stage: Stage, rng: np.random.Generator, ground: Pixels) -> None:
        for rank, (count, tall, drop) in enumerate(((26, 0.13, 0.0), (9, 0.46, 0.16))):
            brush, caps = Brush(stage), Brush(stage)
            for _ in range(count):
                x = rng.random()
                away = abs(x - stage.focus_x)
                if away < 0.16 + 0.12 * rank:
                    continue
                foot = float(ground[int(x * (stage.width - 1))]) + drop * stage.height
                height = tall * stage.height * (0.5 + 0.5 * rng.random())
                kind = rng.bit_generator.state
                plants.conifer(brush, rng, (x * stage.width, foot), height)
                rng.bit_generator.state = kind
                nudge = 0.02 * height
                plants.conifer(caps, rng, (x * stage.width + nudge * stage.side, foot - nudge), height)
            body = brush.mask()
            lay(picture, mix(_NIGHT, linear("#2c6a7c"), 0.25 - 0.2 * rank), body)
            rim = np.clip(body - blurred(np.roll(body, (4, -3 * stage.side), axis=(0, 1)), 1.0), 0, 1)
            lay(picture, mix(_SNOW, _GREEN, 0.35) * np.float32(0.45), rim * np.float32(0.8))

    def _cabin(self, picture: Pixels, stage: Stage, ground: Pixels) -> None:
        x = stage.focus_x * stage.width
        unit = stage.unit
        y = float(ground[int(x)]) + 14 * unit
        wide, tall = 88 * unit, 60 * unit
        walls, roof, window = Brush(stage), Brush(stage), Brush(stage)
        walls.polygon([(x - wide, y), (x - wide, y - tall), (x + wide, y - tall), (x + wide, y)])
        lay(picture, linear("#1a1418"), walls.mask())
        eave = y - tall + 4 * unit
        roof.polygon(
            [
                (x - wide * 1.18, eave),
                (x - wide * 0.55, eave - 62 * unit),
                (x + wide * 0.55, eave - 62 * unit),
                (x + wide * 1.18, eave),
            ]
        )
        roof.polygon(
            [
                (x + wide * 0.3, eave - 52 * unit),
                (x + wide * 0.3, eave - 92 * unit),
                (x + wide * 0.5, eave - 92 * unit),
                (x + wide * 0.5, eave - 52 * unit),
            ]
        )
        lay(picture, _SNOW * np.float32(0.55), roof.mask())
        for at in (-0.55, 0.25):
            left, top = x + at * wide, y - tall * 0.78
            window.polygon(
                [(left, top), (left + 28 * unit, top), (left + 28 * unit, top + 28 * unit), (left, top + 28 * unit)]
            )
        lay(picture, linear("#ffc266") * np.float32(1.9), window.mask())
        sky.glow(picture, stage, (stage.focus_x, y / stage.height), linear("#ff9a3c"), radius=62, strength=0.34)

    def _snowfall(self, stage: Stage, rng: np.random.Generator) -> Layer:
        fine = particles.specks(stage, rng, count=300, size=(0.8, 2.6), soft=0.7)
        near = particles.specks(stage, rng, count=34, size=(3, 9), soft=3.5) * np.float32(0.55)
        white = linear("#d8f4f0")
        return particles.put_in_front(
            particles.cut_layer(white, fine * np.float32(0.8)), particles.cut_layer(white, near)
        )
