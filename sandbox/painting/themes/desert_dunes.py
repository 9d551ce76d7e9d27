"""Sand dunes in the golden hour."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm, profile
from sandbox.painting.raster import blurred, lay, remapped
from sandbox.painting.stage import Light, Scene, Stage

_SUN = linear("#ffe2a0")
_SAND = linear("#ea8f35")
_SHADE = linear("#5c2536")
_AIR = linear("#f6c183")


class DesertDunes:
    """A huge low sun, mesas in the haze, knife-edged dunes half in shadow, a caravan."""

    name = "desert-dunes"
    words: ClassVar[dict[str, int]] = {
        "desert": 4, "dune": 3, "dunes": 4, "sand": 3, "sahara": 4, "camel": 2, "caravan": 2, "oasis": 2, "golden": 1,
        "egypt": 2, "pyramid": 2, "canyon": 2, "mesa": 2, "arid": 2, "hot": 1, "mars": 1, "nomad": 1,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint sky, sun, mesas and six dunes from far to near."""
        horizon = 0.56 + 0.03 * rng.random()
        sun = (stage.focus_x, horizon - 0.19)
        picture = sky.graded(stage, ["#2f8f9a", "#7fb8a4", "#f0cf94", "#ffb765", "#ff9a55"], horizon)
        sky.glow(picture, stage, sun, _SUN, radius=420, strength=0.45)
        small = stage.reduced(2)
        density = sky.cloud_cover(small, rng, coverage=0.22, cells=8, stretch=0.10)
        sky.clouds(
            picture,
            stage,
            density,
            lit=linear("#fff0c8"),
            shade=linear("#d99a72"),
            towards=(stage.side * 0.6, 0.6),
            opacity=0.5,
        )
        sky.disc(picture, stage, sun, linear("#fff3cf") * np.float32(1.8), 92)
        self._mesas(picture, stage, rng, horizon)
        for rank in range(6):
            self._dune(picture, stage, rng, horizon, rank)
            if rank == 2:
                self._caravan(picture, stage, horizon + 0.036)
        light = Light(
            key=linear("#ffd08a"), ambient=linear("#c99a8a"), towards=(stage.side * 0.9, -0.35), haze=_AIR,
            haze_share=0.06, exposure=1.0, rim=0.9, floor_glow=0.12,
        )  # fmt: skip
        dust = particles.specks(stage, rng, count=70, size=(0.8, 3.0), rows=(0.4, 1.0), soft=1.2) * np.float32(0.5)
        return Scene(picture, light, particles.cut_layer(_SUN, dust))

    def _mesas(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> None:
        for rank in range(2):
            brush = Brush(stage)
            for _ in range(4):
                x = rng.random() * stage.width
                if abs(x / stage.width - stage.focus_x) < 0.13:
                    continue
                wide = (50 + 120 * rng.random()) * stage.unit * (1 + 0.4 * rank)
                tall = (70 + 90 * rng.random()) * stage.unit
                top, foot = horizon * stage.height + 30 * stage.unit - tall, (horizon + 0.04) * stage.height
                step = top + tall * 0.35
                brush.polygon(
                    [(x - wide * 1.5, foot), (x - wide * 1.1, step), (x - wide, step - 6), (x - wide * 0.92, top), (x + wide * 0.9, top + 5),
                     (x + wide, step), (x + wide * 1.15, step + 5), (x + wide * 1.6, foot)]
                )  # fmt: skip
            tone = mix(_AIR, linear("#a8584a"), 0.32 + 0.30 * rank)
            lay(picture, tone, brush.mask())

    def _dune(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float, rank: int) -> None:
        near = rank / 5
        width, height = stage.width, stage.height
        base = horizon + 0.012 + 0.42 * near**1.35
        rise = 0.05 + 0.15 * near
        smooth = profile(rng, width, cells=1.3 + 1.6 * (1 - near), octaves=2, gain=0.22)
        line = (height * (base + 0.05 - rise * smooth)).astype(np.float32)
        # The crest snakes down from each summit: left of it lit sand, right of it shadow (or the mirror of that).
        summit = float(np.argmax(smooth)) / width + 0.03
        rows = stage.rows()
        below = np.clip(rows - line[None, :], 0, None) / np.float32(height)
        wander = (profile(rng, height, cells=3, octaves=3, gain=0.35) - np.float32(0.5))[:, None]
        edge = (
            np.float32(summit)
            + np.float32(stage.side) * below * np.float32(0.55)
            + wander * np.float32(0.16) * (below + np.float32(0.02)) * 4
        )
        dark = ((edge - stage.columns() / np.float32(width)) * np.float32(stage.side)).astype(np.float32)
        shadow = np.clip(dark * np.float32(width / 3), 0, 1) * np.exp(
            -np.clip(dark, 0, None) / np.float32(0.30 + 0.25 * near)
        )
        ripple = self._ripples(stage, rng, near)
        lit = mix(_AIR, _SAND, 0.30 + 0.65 * near)
        cold = mix(_AIR * np.float32(0.75), _SHADE, 0.35 + 0.6 * near)
        tone = (np.float32(0.92) + ripple * (1 - np.float32(0.5) * shadow))[..., None]
        sand = (lit + (cold - lit) * (shadow * np.float32(0.92))[..., None]) * tone
        crest = np.exp(-below / np.float32(0.010 + 0.01 * near)) * (1 - shadow)
        sand += crest[..., None] * _SUN * np.float32(0.22)
        lay(picture, (sand * np.float32(1 - 0.25 * near)).astype(np.float32), terrain.cover_below(stage, line))

    def _ripples(self, stage: Stage, rng: np.random.Generator, near: float) -> Pixels:
        small = stage.reduced(2)
        bend = fbm(rng, small.height, small.width, cells=4, octaves=3, stretch=0.5)
        depth = small.rows() / small.height
        phase = depth * depth * np.float32(60 + 80 * near) * np.float32(2.2) + bend * np.float32(16)
        waves = np.sin(phase).astype(np.float32) * np.float32(0.045 * near)
        grain = (fbm(rng, small.height, small.width, cells=60, octaves=2) - np.float32(0.5)) * np.float32(0.10)
        x = stage.columns() / 2 + np.zeros((stage.height, 1), np.float32)
        y = stage.rows() / 2 + np.zeros((1, stage.width), np.float32)
        return remapped(waves + grain, x, y)

    def _caravan(self, picture: Pixels, stage: Stage, level: float) -> None:
        brush = Brush(stage)
        unit = stage.unit * 1.15
        for step in range(5):
            x = stage.focus_x * stage.width + (step - 2) * 46 * unit
            y = level * stage.height + np.sin(step * 1.3) * 3 * unit
            brush.ellipse((x, y - 17 * unit), (11 * unit, 5.5 * unit))
            brush.ellipse((x + unit, y - 22 * unit), (4.5 * unit, 5.5 * unit))
            brush.line(
                [(x - 10 * unit, y - 17 * unit), (x - 16 * unit, y - 24 * unit), (x - 20 * unit, y - 25 * unit)],
                2.4 * unit,
            )
            for leg in (-8, -5, 5, 8):
                brush.line([(x + leg * unit, y - 14 * unit), (x + leg * unit * 1.05, y)], 1.7 * unit)
        lay(picture, linear("#4a2430"), blurred(brush.mask(), 0.6))
