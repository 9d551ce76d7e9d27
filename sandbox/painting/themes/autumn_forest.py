"""A path through an autumn wood in the morning."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, plants, sky
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import add_light, blurred, lay, resized
from sandbox.painting.stage import Layer, Light, Scene, Stage

_MIST = linear("#f7bd68")
_LEAVES = ("#e8561b", "#f29a1b", "#c92f1a", "#ffc23a", "#a82a1c")


class AutumnForest:
    """Trunks fading into golden mist, slanting light, a carpet of leaves, leaves in the air."""

    name = "autumn-forest"
    words: ClassVar[dict[str, int]] = {
        "autumn": 4, "fall": 2, "forest": 4, "woods": 3, "wood": 1, "woodland": 3, "trees": 2, "tree": 1, "leaves": 3,
        "october": 2, "maple": 2, "jungle": 2, "enchanted": 2, "path": 1, "trail": 2, "oak": 2, "druid": 2, "elf": 1,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint mist, foliage, five ranks of trunks, ground, shafts."""
        picture = sky.graded(stage, ["#a8521c", "#d9862e", "#ffcf80", "#eaa24a", "#8a4318"], 1.0)
        sun = (stage.focus_x + 0.04 * stage.side, 0.24)
        sky.glow(picture, stage, sun, linear("#ffe6a8"), radius=210, strength=0.75)
        floor = 0.70 + 0.02 * rng.random()
        self._floor(picture, stage, rng, floor)
        for rank in range(5):
            self._canopy(picture, stage, rng, rank)
            self._trunks(picture, stage, rng, floor, rank)
        beams = sky.shafts(stage, rng, (sun[0], -0.12), beams=90, reach=0.85, sharp=3.0)
        add_light(picture, linear("#ffe6a8"), beams * np.float32(0.70))
        light = Light(
            key=linear("#ffdf9a"), ambient=linear("#c98a55"), towards=(stage.side * 0.7, -0.7), haze=_MIST,
            haze_share=0.07, exposure=0.96, rim=0.95,
        )  # fmt: skip
        return Scene(picture, light, self._falling(stage, rng))

    def _floor(self, picture: Pixels, stage: Stage, rng: np.random.Generator, floor: float) -> None:
        small = stage.reduced(2)
        depth = np.clip((small.rows() / small.height - floor) / (1 - floor), 0, 1)
        rough = fbm(rng, small.height, small.width, cells=30, octaves=4, gain=0.6, stretch=0.3)
        path = np.exp(
            -(
                ((small.columns() / small.width - stage.focus_x - 0.05 * np.sin(depth * 4)) / (0.015 + 0.16 * depth))
                ** 2
            )
        )
        tone = linear("#d9822b") + (linear("#5a2412") - linear("#d9822b")) * depth[..., None]
        tone = tone + (linear("#e9b878") * (1 - 0.6 * depth[..., None]) - tone) * (path * 0.65)[..., None]
        ground = (tone * (0.55 + 0.9 * rough)[..., None]).astype(np.float32)
        mask = np.clip((stage.rows() / stage.height - floor) * 9, 0, 1) + np.zeros((1, stage.width), np.float32)
        lay(picture, resized(ground, stage.width, stage.height), mask.astype(np.float32))
        for code in _LEAVES:
            scattered = Brush(stage)
            for _ in range(170):
                far = rng.random() ** 0.6
                at = (rng.random() * stage.width, (floor + 0.03 + (1 - floor) * far) * stage.height)
                size = (1.5 + 8.5 * far * far) * stage.unit
                scattered.ellipse(at, (size, size * 0.42), rng.random() * 60 - 30, 0.6 + 0.4 * rng.random())
            lay(picture, linear(code) * np.float32(0.75), scattered.mask() * np.float32(0.85))

    def _canopy(self, picture: Pixels, stage: Stage, rng: np.random.Generator, rank: int) -> None:
        near = rank / 4
        code = _LEAVES[(rank * 2 + int(rng.integers(2))) % len(_LEAVES)]
        small = stage.reduced(2)
        clumps = fbm(rng, small.height, small.width, cells=7 - rank, octaves=6, gain=0.62)
        level = small.rows() / small.height
        hole = np.exp(-(((small.columns() / small.width - stage.focus_x) / 0.20) ** 2))
        hang = 0.50 - 0.035 * rank - 0.26 * hole
        cover = np.clip((clumps - 0.40 - 0.95 * np.clip(level - hang + 0.30, -0.3, 1)) * (9 + 5 * rank), 0, 1)
        dapple = fbm(rng, small.height, small.width, cells=40, octaves=3, gain=0.7)
        tone = mix(mix(_MIST, linear(code), 0.62 + 0.33 * near), linear("#3a1208"), 0.30 * near)
        paint = (np.float32(0.45) + np.float32(1.15) * dapple)[..., None] * tone
        full = resized(np.concatenate([paint, cover[..., None]], axis=2).astype(np.float32), stage.width, stage.height)
        lay(picture, np.ascontiguousarray(full[..., :3]), np.clip(full[..., 3], 0, 1) * np.float32(0.70 + 0.25 * near))

    def _trunks(self, picture: Pixels, stage: Stage, rng: np.random.Generator, floor: float, rank: int) -> None:
        near = rank / 4
        bark, lit = Brush(stage), Brush(stage)
        for _ in range((15, 12, 9, 6, 4)[rank]):
            x = rng.random()
            if abs(x - stage.focus_x) < 0.05 + 0.05 * rank:
                continue
            width = (7 + 9 * rank + 12 * near * rank * rng.random()) * stage.unit * 1.2
            foot = (floor + 0.03 + 0.30 * near**1.5) * stage.height + rng.random() * 16 * stage.unit
            start = rng.bit_generator.state
            plants.trunk(bark, rng, x * stage.width, top=-20, bottom=foot, width=width)
            rng.bit_generator.state = start
            plants.trunk(
                lit, rng, x * stage.width + width * 0.36 * stage.side, top=-20, bottom=foot, width=width * 0.40
            )
            if rank > 1:
                plants.branch(
                    bark, rng, (x * stage.width, stage.height * (0.1 + 0.3 * rng.random())), angle=rng.choice([-0.5, -2.6]),
                    length=width * 6, width=width * 0.34)  # fmt: skip
        tone = mix(mix(_MIST, linear("#8a4a22"), 0.30), linear("#2a1209"), near**0.7)
        body = bark.mask()
        lay(picture, tone, body)
        shine = blurred(lit.mask(), (1.5 + 3 * near) * stage.unit) * body
        lay(picture, mix(tone, linear("#ffc46a"), 0.55), shine * np.float32(0.7))

    def _falling(self, stage: Stage, rng: np.random.Generator) -> Layer:
        layer = particles.empty_layer(stage)
        for index, code in enumerate(_LEAVES):
            small = particles.leaves(stage, rng, count=11, size=(5, 12))
            layer = particles.put_in_front(layer, particles.cut_layer(linear(code), small))
            if index < 3:
                large = blurred(particles.leaves(stage, rng, count=3, size=(22, 34)), 2.6 * stage.unit)
                layer = particles.put_in_front(layer, particles.cut_layer(linear(code), large * np.float32(0.9)))
        return layer
