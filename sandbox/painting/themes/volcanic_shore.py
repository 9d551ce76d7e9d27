"""A black shore under an erupting volcano."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm, profile, smoothstep
from sandbox.painting.raster import add_light, blurred, lay, resized
from sandbox.painting.stage import Layer, Light, Scene, Stage

_LAVA = linear("#ff5a14")
_HOT = linear("#ffd27a")
_ASH = linear("#171016")
_ROCK = linear("#0d0a0e")


class VolcanicShore:
    """A cone with rivers of lava, an ash column lit from below, a sea that mirrors the fire."""

    name = "volcanic-shore"
    words: ClassVar[dict[str, int]] = {
        "volcano": 4, "volcanic": 4, "lava": 4, "magma": 4, "eruption": 3, "fire": 2, "ash": 2, "ember": 2, "embers": 3,
        "inferno": 3, "hell": 2, "dragon": 2, "burning": 2, "molten": 3, "shore": 1, "apocalypse": 2, "flames": 2,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint ash sky, cone, lava, sea, rocks."""
        horizon = 0.64 + 0.02 * rng.random()
        top = 0.27 + 0.05 * rng.random()
        picture = sky.graded(stage, ["#0b0709", "#1a0d10", "#351310", "#6a2212", "#c2501c"], horizon)
        sky.glow(picture, stage, (stage.focus_x, top), _LAVA, radius=230, strength=0.75)
        self._ash(picture, stage, rng, top)
        fountain = self._fountain(stage, rng, top)
        add_light(picture, _LAVA, blurred(fountain, 14 * stage.unit) * np.float32(1.8))
        add_light(picture, _HOT, fountain * np.float32(1.6))
        self._cone(picture, stage, rng, top, horizon)
        water = terrain.Water(
            near=linear("#160a0c"), sun=linear("#ff7a2a"), sun_x=stage.focus_x, path=0.07, ripple=1.3, glitter=1.1
        )
        terrain.lake(picture, stage, rng, horizon, water)
        self._rocks(picture, stage, rng)
        light = Light(
            key=linear("#ff8a3c"), ambient=linear("#7a4450"), towards=(stage.side * 0.95, 0.05), haze=linear("#7a2a14"),
            haze_share=0.06, exposure=0.82, rim=1.25, floor_glow=0.30,
        )  # fmt: skip
        glow = particles.specks(stage, rng, count=150, size=(0.8, 3.4), soft=0.6)
        near = particles.specks(stage, rng, count=16, size=(3, 7), soft=2.4)
        sparks = np.clip(glow + near, 0, 1)
        halo = blurred(sparks, 7 * stage.unit)
        paint = sparks[..., None] * _HOT * np.float32(1.5) + halo[..., None] * _LAVA * np.float32(1.6)
        return Scene(picture, light, Layer(paint.astype(np.float32), sparks * np.float32(0.6)))

    def _ash(self, picture: Pixels, stage: Stage, rng: np.random.Generator, top: float) -> None:
        small = stage.reduced(2)
        density = sky.cloud_cover(small, rng, coverage=0.66, cells=4.5, stretch=0.55, sharp=4)
        level = small.rows() / np.float32(small.height)
        over = np.float32(top) - level
        drift = small.columns() / small.width - stage.focus_x + stage.side * 0.35 * np.clip(over, 0, 1)
        column = np.exp(-((drift / (0.05 + 0.55 * np.clip(over + 0.04, 0, 1))) ** 2)) * smoothstep(-0.03, 0.05, over)
        density = np.clip(
            density * (0.75 + 0.8 * column) * np.clip(1.5 - 1.9 * level, 0, 1) + 0.30 * column, 0, 1
        ).astype(np.float32)
        heat = np.exp(-sky.distance(small, stage.focus_x, top) / np.float32(330 * small.unit))
        sky.clouds(picture, stage, density, lit=linear("#7a4038"), shade=_ASH, towards=(0.1, 0.95), opacity=0.92)
        edges = np.clip(density - blurred(density, 10 * small.unit), 0, 1) * 2 + density * np.float32(0.30)
        add_light(picture, linear("#ff6a22"), (edges * heat * np.float32(1.1)).astype(np.float32))

    def _fountain(self, stage: Stage, rng: np.random.Generator, top: float) -> Pixels:
        brush = Brush(stage)
        steps = np.linspace(0, 1, 14)
        for _ in range(95):
            speed, turn = 60 + 190 * rng.random(), rng.normal() * 0.33
            flight = steps * (0.6 + 0.7 * rng.random())
            across = stage.focus_x * stage.width + np.sin(turn) * speed * flight * 1.6 * stage.unit
            down = (top + 0.015) * stage.height - (np.cos(turn) * speed * flight * 1.5 - 165 * flight**2) * stage.unit
            brush.line(
                np.stack([across, down], axis=1).astype(np.float32),
                (1 + 2 * rng.random()) * stage.unit,
                0.4 + 0.6 * rng.random(),
            )
        return brush.mask()

    def _cone(self, picture: Pixels, stage: Stage, rng: np.random.Generator, top: float, horizon: float) -> None:
        across = np.linspace(0, 1, stage.width, dtype=np.float32) - np.float32(stage.focus_x)
        ragged = (profile(rng, stage.width, cells=20, octaves=5) - np.float32(0.5)) * np.float32(0.03)
        spread = 0.36 * min(1.0, 1.2 * stage.height / stage.width + 0.4)
        flank = np.clip((np.abs(across) - np.float32(0.028)) / np.float32(spread), 0, 1) ** np.float32(0.72)
        line = ((top + (horizon + 0.02 - top) * flank + ragged * np.clip(flank * 3, 0.15, 1)) * stage.height).astype(
            np.float32
        )
        look = terrain.Relief(
            colour=linear("#2a1b22"), haze=linear("#8a2f18"), sun=_LAVA, mist=0.45, sunlit=0.35, relief=0.5, cells=7
        )
        terrain.hills(picture, stage, rng, line, look, until=horizon + 0.01)
        rivers = Brush(stage)
        for _ in range(7):
            steps = np.linspace(0, 1, 26)
            lean = (rng.random() - 0.5) * 0.34
            wander = blurred(np.cumsum(rng.normal(0, 0.0052, 26)).astype(np.float32)[None, :], 0.9)[0]
            x = (stage.focus_x + (rng.random() - 0.5) * 0.03 + lean * steps**1.3 + wander) * stage.width
            reach = 0.35 + 0.65 * rng.random()
            y = (top + 0.012 + (horizon - top) * steps * reach) * stage.height
            points = np.stack([x, y], axis=1).astype(np.float32)
            for piece in range(25):
                rivers.line(points[piece : piece + 2], (5.5 - 3.5 * piece / 25) * stage.unit)
        cover = rivers.mask() * terrain.cover_below(stage, line)
        add_light(picture, _LAVA, blurred(cover, 16 * stage.unit) * np.float32(1.3))
        lay(picture, _HOT * np.float32(1.35), cover)
        add_light(picture, _LAVA, cover * np.float32(0.6))

    def _rocks(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        for rank in range(2):
            line = terrain.skyline(
                stage, rng, base=0.90 + 0.12 * rank, rise=0.13, cells=3 + 2 * rank, ridged=True, gain=0.55, gap=0.75
            )
            brush = Brush(stage)
            brush.below(line)
            body = brush.mask()
            small = stage.reduced(2)
            rough = resized(
                fbm(rng, small.height, small.width, cells=24, octaves=4, ridged=True), stage.width, stage.height
            )
            toward = np.exp(-(((stage.columns() / stage.width - stage.focus_x) / 0.4) ** 2))
            edge = np.clip(body - np.roll(body, (5, -3 * stage.side), axis=(0, 1)), 0, 1)
            wet = smoothstep(0.70, 0.95, rough) * toward * np.float32(0.22) + blurred(edge, 1.2) * toward * np.float32(
                0.9
            )
            lay(picture, mix(_ROCK, linear("#2a1a1e"), 0.5 - 0.5 * rank), body)
            add_light(picture, _LAVA, (wet * body).astype(np.float32))
