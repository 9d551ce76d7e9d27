"""A mountain lake at sunset."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, plants, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import profile
from sandbox.painting.raster import lay
from sandbox.painting.stage import Light, Scene, Stage

_SUN = linear("#ffcf8f")
_FOG = linear("#e88f86")
_NEAR = linear("#15112e")


class AlpineDusk:
    """Warm sky over violet ranges, mirrored in still water between dark firs."""

    name = "alpine-dusk"
    words: ClassVar[dict[str, int]] = {
        "alpine": 3, "alps": 3, "mountain": 2, "mountains": 2, "lake": 2, "sunset": 2, "dusk": 3, "peak": 2, "peaks": 2,
        "twilight": 2, "evening": 1, "fjord": 2, "pine": 1, "firs": 1, "golden": 1, "hour": 0, "valley": 1, "summit": 2,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint sky, five ranges, lake, shore."""
        horizon = 0.655 + 0.03 * rng.random()
        sun = (stage.focus_x, horizon - 0.075)
        picture = sky.graded(stage, ["#1a1a58", "#4a3388", "#a3478b", "#ee7f62", "#ffc987"], horizon)
        sky.glow(picture, stage, sun, _SUN, radius=520, strength=0.42)
        sky.glow(picture, stage, sun, linear("#ff9a5a"), radius=180, strength=0.55)
        sky.stars(picture, stage, rng, count=420, horizon=0.32, power=0.7)
        small = stage.reduced(2)
        density = sky.cloud_cover(small, rng, coverage=0.42, cells=6, stretch=0.22)
        density *= np.clip((horizon - 0.06 - small.rows() / small.height) / 0.16, 0, 1)
        sky.clouds(
            picture, stage, density, lit=linear("#ff9c74"), shade=linear("#5a3a80"), towards=(stage.side * 0.6, 0.9)
        )
        sky.disc(picture, stage, sun, _SUN * np.float32(2.6), 30)
        self._ranges(picture, stage, rng, horizon)
        water = terrain.Water(near=linear("#1c1848"), sun=_SUN, sun_x=stage.focus_x, path=0.035)
        terrain.lake(picture, stage, rng, horizon, water)
        self._shore(picture, stage, rng)
        light = Light(
            key=linear("#ffb574"), ambient=linear("#8d72c0"), towards=(stage.side * 0.95, -0.12), haze=_FOG,
            haze_share=0.05, exposure=0.94, rim=1.0,
        )  # fmt: skip
        front = Brush(stage)
        plants.grass(front, rng, stage, count=260, ground=0.985, spread=0.03, height=62)
        return Scene(picture, light, particles.cut_layer(_NEAR * np.float32(0.55), front.mask()))

    def _ranges(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> None:
        far = mix(_FOG, linear("#8b5aa0"), 0.45)
        for index in range(4):
            near = index / 3
            line = terrain.skyline(
                stage,
                rng,
                base=horizon - 0.02 + 0.02 * near,
                rise=0.36 - 0.21 * near,
                cells=2.4 + 2.2 * index,
                gap=0.86 - 0.15 * near,
            )
            look = terrain.Relief(
                colour=mix(far, _NEAR, near**0.8), haze=_FOG, sun=_SUN, mist=0.85 - 0.5 * near, snow=0.07 * (1 - near),
                sunlit=0.30 * (1 - near) + 0.05, cells=5 + 4 * near,
            )  # fmt: skip
            terrain.hills(picture, stage, rng, line, look, until=horizon + 0.01)

    def _shore(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        for level, tall, count, shade in ((0.845, 0.24, 34, 1.7), (0.955, 0.50, 13, 0.8)):
            brush = Brush(stage)
            bank = profile(rng, stage.width, cells=4, octaves=5) - np.float32(0.5)
            across = np.abs(np.linspace(0, 1, stage.width, dtype=np.float32) - np.float32(stage.focus_x))
            ground = ((level + 0.05 - 0.09 * across + 0.03 * bank) * stage.height).astype(np.float32)
            brush.below(ground)
            for _ in range(count):
                x = rng.random()
                away = abs(x - stage.focus_x)
                if away < 0.20 + 0.10 * rng.random():
                    continue
                height = (0.35 + 0.65 * rng.random()) * tall * min(1.0, 0.35 + away) * stage.height
                column = int(x * (stage.width - 1))
                plants.conifer(brush, rng, (x * stage.width, float(ground[column]) + 5), height)
            plants.grass(brush, rng, stage, count=260, ground=ground + np.float32(2), spread=0.012, height=26)
            lay(picture, _NEAR * np.float32(shade), brush.mask())
