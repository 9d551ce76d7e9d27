"""A bright day over green hills and flowers."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, plants, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import blurred, lay, resized, tripled
from sandbox.painting.stage import Layer, Light, Scene, Stage

_SUN = linear("#fff4c8")
_AIR = linear("#cfe8f2")
_PETALS = ("#ff5d7d", "#ffd23f", "#ffffff", "#b779ff", "#ff8fc4", "#ff7a3d")


class SpringMeadow:
    """White clouds, rolling hills with round trees, a path, flowers up to the viewer's feet."""

    name = "spring-meadow"
    words: ClassVar[dict[str, int]] = {
        "meadow": 4, "spring": 2, "flower": 2, "flowers": 2, "grass": 2, "hill": 1, "hills": 2, "sunny": 2, "day": 1,
        "field": 2, "fields": 2, "green": 1, "countryside": 2, "garden": 2, "park": 2, "summer": 2, "picnic": 2, "farm": 1,
        "bright": 1, "blossom": 2, "poppies": 2,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint sky, cumulus, hills, trees, flowers."""
        horizon = 0.60 + 0.03 * rng.random()
        sun = (stage.focus_x + 0.10 * stage.side, 0.10)
        picture = sky.graded(stage, ["#2479d8", "#4f9fe8", "#8ec9f4", "#cfeaf6", "#f6f3dc"], horizon)
        sky.glow(picture, stage, sun, _SUN, radius=300, strength=0.45)
        small = stage.reduced(2)
        density = sky.cloud_cover(small, rng, coverage=0.36, cells=3.6, stretch=0.42, sharp=9)
        density *= np.clip((horizon - small.rows() / small.height) / 0.2, 0, 1)
        sky.clouds(
            picture, stage, density, lit=linear("#ffffff") * np.float32(1.12), shade=linear("#9dbbdd"),
            towards=(stage.side * 0.5, -0.85), opacity=0.95,
        )  # fmt: skip
        line = terrain.skyline(stage, rng, base=horizon, rise=0.13, cells=2.5)
        blue = terrain.Relief(colour=linear("#7fa9cf"), haze=_AIR, sun=_SUN, mist=0.7, sunlit=0.15, snow=0.03)
        terrain.hills(picture, stage, rng, line, blue, until=horizon + 0.1)
        self._green_hills(picture, stage, rng, horizon)
        sky.birds(picture, stage, rng, (stage.focus_x, 0.24), colour=linear("#3a5670"), count=7)
        self._flowers(picture, stage, rng, horizon)
        light = Light(
            key=linear("#fff3d0"), ambient=linear("#b5d3ee"), towards=(stage.side * 0.7, -0.7), haze=_AIR,
            haze_share=0.03, exposure=1.08, rim=0.55,
        )  # fmt: skip
        return Scene(picture, light, self._near_flowers(stage, rng))

    def _green_hills(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> None:
        greens = ("#9cc98c", "#7dbb58", "#5fa53a", "#4f9a30")
        for index, code in enumerate(greens):
            line = terrain.skyline(
                stage, rng, base=horizon + 0.03 + 0.075 * index, rise=0.075 + 0.012 * index, cells=1.4 + 0.2 * index,
                ridged=False, gain=0.25,
            )  # fmt: skip
            cover = terrain.cover_below(stage, line)
            lay(picture, self._turf(stage, rng, line, linear(code), index), cover)
            trees, tops = Brush(stage), Brush(stage)
            for _ in range(12 - 2 * index):
                x = rng.random()
                size = (10 + 9 * index) * (0.6 + 0.8 * rng.random()) * stage.unit
                if index > 1 and abs(x - stage.focus_x) < 0.22:
                    continue
                foot = (x * stage.width, float(line[int(x * (stage.width - 1))]) - size * 0.55)
                plants.crown(trees, rng, foot, size)
                plants.crown(tops, rng, (foot[0] + size * 0.28 * stage.side, foot[1] - size * 0.28), size * 0.62)
            leaf = mix(linear("#6da27a"), linear("#1f6a1c"), 0.1 + 0.3 * index)
            lay(picture, leaf, trees.mask())
            lay(picture, mix(leaf, linear("#c9ea4c"), 0.55), tops.mask() * trees.mask() * np.float32(0.75))

    def _turf(self, stage: Stage, rng: np.random.Generator, line: Pixels, green: Pixels, rank: int) -> Pixels:
        small = stage.reduced(2)
        patches = fbm(rng, small.height, small.width, cells=9 + 5 * rank, octaves=4, stretch=0.22)
        crest = np.exp(
            -np.clip(small.rows() - line[None, ::2][:, : small.width] / 2, 0, None) / np.float32(0.035 * small.height)
        )
        shade = np.float32(0.62) + np.float32(0.62) * patches + np.float32(0.35) * crest
        turf = tripled(shade.astype(np.float32)) * green + tripled(crest.astype(np.float32)) * (_SUN * np.float32(0.10))
        return resized(turf, stage.width, stage.height)

    def _flowers(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> None:
        start = horizon + 0.26
        blades = Brush(stage)
        plants.grass(blades, rng, stage, count=420, ground=start, spread=1.02 - start, height=34)
        lay(picture, linear("#2f7d22"), blades.mask() * np.float32(0.55))
        for code in _PETALS:
            brush = Brush(stage)
            patch = rng.random()
            for _ in range(110):
                depth = rng.random() ** 0.8
                x = (patch + rng.normal() * 0.22) % 1.0
                radius = (1.2 + 6.2 * depth**1.6) * stage.unit
                at = (x * stage.width, (start + (1.0 - start) * depth) * stage.height)
                brush.ellipse(at, (radius * 1.25, radius), 0, 0.75 + 0.25 * rng.random())
            lay(picture, linear(code), brush.mask())

    def _near_flowers(self, stage: Stage, rng: np.random.Generator) -> Layer:
        stems = Brush(stage)
        plants.grass(stems, rng, stage, count=240, ground=0.99, spread=0.05, height=100)
        layer = particles.cut_layer(linear("#2a6a1c"), blurred(stems.mask(), 1.2 * stage.unit))
        for code in _PETALS:
            petals = Brush(stage)
            for _ in range(5):
                x, y = rng.random() * stage.width, (0.915 + 0.085 * rng.random()) * stage.height
                size = (13 + 13 * rng.random()) * stage.unit
                turn = rng.random() * 6
                for leaf in range(5):
                    angle = turn + leaf * 2 * np.pi / 5
                    petals.disc((x + np.cos(angle) * size * 0.55, y + np.sin(angle) * size * 0.5), size * 0.45)
            soft = blurred(petals.mask(), 1.8 * stage.unit)
            layer = particles.put_in_front(layer, particles.cut_layer(linear(code), soft))
        return layer
