"""Under water, above a coral reef."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky, terrain
from sandbox.painting.brush import Brush, Point
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import add_light, blurred, lay, resized
from sandbox.painting.stage import Layer, Light, Scene, Stage

_WATER = linear("#1aa3c4")
_DEEP = linear("#04284e")
_CORALS = ("#ff6f7d", "#ff9d4f", "#c46bff", "#ffd166", "#ff5fa8", "#58e0c8")


class CoralReef:
    """Light shafts from the surface, coral gardens, kelp, a school of fish, bubbles."""

    name = "coral-reef"
    words: ClassVar[dict[str, int]] = {
        "coral": 4, "reef": 4, "underwater": 4, "ocean": 2, "sea": 2, "fish": 3, "diver": 3, "diving": 3, "kelp": 3,
        "submarine": 2, "mermaid": 3, "aquarium": 3, "deep": 1, "whale": 2, "turtle": 2, "tropical": 1, "snorkel": 3,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint water, surface, shafts, three banks of reef, fish."""
        picture = sky.graded(stage, ["#9df3ea", "#3cc9d9", "#1590c0", "#0b5d98", "#063a6e"], 1.0)
        source = (stage.focus_x, -0.25)
        self._surface(picture, stage, rng)
        sky.glow(picture, stage, (stage.focus_x, -0.02), linear("#eafff4"), radius=260, strength=0.75)
        for rank in range(3):
            self._bank(picture, stage, rng, rank)
            if rank == 0:
                self._school(picture, stage, rng)
        beams = sky.shafts(stage, rng, source, beams=70, reach=0.62, sharp=2.4)
        add_light(picture, linear("#c8fff2"), beams * np.float32(0.95))
        self._kelp(picture, stage, rng)
        light = Light(
            key=linear("#c5fff0"), ambient=linear("#7fbfe0"), towards=(stage.side * 0.35, -0.95), haze=_WATER,
            haze_share=0.07, exposure=0.96, rim=0.8,
        )  # fmt: skip
        return Scene(picture, light, self._bubbles(stage, rng))

    def _surface(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        small = stage.reduced(2)
        depth = small.rows() / small.height
        flat = fbm(rng, small.height, small.width, cells=26, octaves=3, ridged=True, stretch=0.22)
        web = np.clip((flat - np.float32(0.66)) * 5, 0, 1) * np.clip(1 - depth / 0.17, 0, 1)
        add_light(picture, linear("#f2fff8"), web.astype(np.float32) * np.float32(0.85))

    def _bank(self, picture: Pixels, stage: Stage, rng: np.random.Generator, rank: int) -> None:
        near = rank / 2
        base = 0.80 + 0.115 * rank
        line = terrain.skyline(
            stage, rng, base=base, rise=0.20 - 0.03 * rank, cells=2.5 + rank, ridged=False, gain=0.5, gap=0.55
        )
        stone = mix(linear("#1f7fae"), linear("#0b2a4a"), 0.35 + 0.55 * near)
        colonies = 14 + 4 * rank
        first = int(rng.integers(len(_CORALS)))
        for layer in range(3):
            code = _CORALS[(first + layer * 2 + rank) % len(_CORALS)]
            tone = mix(mix(_WATER, _DEEP, 0.3), linear(code), 0.34 + 0.40 * near)
            brush, glints = Brush(stage), Brush(stage)
            for _ in range(colonies // 3 + 1):
                x = rng.random()
                if rank == 2 and abs(x - stage.focus_x) < 0.08:
                    continue
                foot = (x * stage.width, float(line[int(x * (stage.width - 1))]) + 12 * stage.unit)
                size = (46 + 60 * near + 70 * rng.random()) * stage.unit * (0.6 + 0.6 * near)
                self._colony((brush, glints), rng, foot, size=size, kind=layer)
            body = brush.mask()
            lay(picture, tone * np.float32(0.72), body)
            lay(picture, mix(tone, linear("#d8fff4"), 0.22), glints.mask() * body * np.float32(0.9))
        small = stage.reduced(2)
        rough = fbm(rng, small.height, small.width, cells=22, octaves=4)
        caustic = fbm(rng, small.height, small.width, cells=26, octaves=2, ridged=True, stretch=0.5)
        shade = (0.55 + 0.8 * rough + 1.5 * np.clip(caustic - 0.80, 0, 1))[..., None]
        ground = resized((shade * stone).astype(np.float32), stage.width, stage.height)
        lay(picture, ground, terrain.cover_below(stage, line))

    def _colony(
        self, brushes: tuple[Brush, Brush], rng: np.random.Generator, foot: Point, *, size: float, kind: int
    ) -> None:
        brush, glints = brushes
        if kind == 0:
            self._antler(brush, rng, foot, (-np.pi / 2, size * 0.42, size * 0.13), 5)
            self._antler(
                glints, rng, (foot[0] - size * 0.02, foot[1]), (-np.pi / 2 - 0.05, size * 0.38, size * 0.05), 3
            )
        elif kind == 1:
            for angle in np.linspace(-2.5, -0.6, 15):
                tip = (
                    foot[0] + np.cos(angle) * size * 0.9,
                    foot[1] + np.sin(angle) * size * (0.9 + 0.2 * rng.random()),
                )
                brush.line([foot, tip], size * 0.075)
                brush.disc(tip, size * 0.07)
                glints.disc((tip[0], tip[1] - size * 0.02), size * 0.045)
        else:
            brush.ellipse((foot[0], foot[1] - size * 0.15), (size * 0.62, size * 0.5))
            for _ in range(26):
                at = (foot[0] + rng.normal() * size * 0.26, foot[1] - size * (0.12 + 0.42 * rng.random()))
                glints.ellipse(at, (size * 0.07, size * 0.035), rng.random() * 180)

    def _antler(
        self, brush: Brush, rng: np.random.Generator, start: Point, limb: tuple[float, float, float], forks: int
    ) -> None:
        """Branch coral; `limb` is angle (radians), length and width in pixels, `forks` how often it still divides."""
        angle, length, width = limb
        end = (start[0] + np.cos(angle) * length, start[1] + np.sin(angle) * length)
        brush.line([start, end], width)
        brush.disc(end, width * 0.55)
        if forks == 0 or width < 1:
            return
        for turn in (-0.5, 0.45):
            bent = angle + turn + rng.normal() * 0.15
            self._antler(brush, rng, end, (bent, length * (0.60 + 0.18 * rng.random()), width * 0.76), forks - 1)

    def _school(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        body, belly = Brush(stage), Brush(stage)
        heading = -stage.side
        for _ in range(46):
            x = stage.focus_x * stage.width + rng.normal() * 150 * stage.unit
            y = (0.42 + 0.07 * rng.normal()) * stage.height
            size = (10 + 13 * rng.random()) * stage.unit
            tail = x - heading * size
            body.ellipse((x, y), (size, size * 0.42))
            body.polygon(
                [
                    (tail, y),
                    (tail - heading * size * 0.7, y - size * 0.45),
                    (tail - heading * size * 0.7, y + size * 0.45),
                ]
            )
            belly.ellipse((x, y - size * 0.12), (size * 0.8, size * 0.16))
        lay(picture, linear("#ffb13d"), body.mask() * np.float32(0.88))
        lay(picture, linear("#fff1b8"), belly.mask() * np.float32(0.85))

    def _kelp(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        brush = Brush(stage)
        for _ in range(11):
            x = rng.random()
            if abs(x - stage.focus_x) < 0.24:
                continue
            top, phase = 0.08 + 0.35 * rng.random(), rng.random() * 6
            steps = np.linspace(0, 1, 40)
            across = x * stage.width + np.sin(steps * 7 + phase) * 22 * stage.unit * steps
            down = stage.height * (1.02 - (1.02 - top) * steps)
            brush.line(np.stack([across, down], axis=1).astype(np.float32), 5 * stage.unit)
            for index in range(3, 39, 2):
                flip = 1 if index % 4 == 1 else -1
                at = (across[index] + flip * 20 * stage.unit, down[index] - 5 * stage.unit)
                brush.ellipse(at, (22 * stage.unit, 7 * stage.unit), flip * -28)
        lay(picture, mix(_DEEP, linear("#0f6a5a"), 0.45), blurred(brush.mask(), 0.8 * stage.unit) * np.float32(0.92))

    def _bubbles(self, stage: Stage, rng: np.random.Generator) -> Layer:
        rings, shine = Brush(stage), Brush(stage)
        for _ in range(46):
            radius = (3 + 15 * rng.random() ** 3) * stage.unit
            x, y = rng.random() * stage.width, (0.05 + 0.9 * rng.random()) * stage.height
            turn = np.linspace(0, 2 * np.pi, 28)
            ring = np.stack([x + np.cos(turn) * radius, y + np.sin(turn) * radius], axis=1)
            rings.line(ring.astype(np.float32), max(1.0, radius * 0.14), 0.6)
            shine.disc((x - radius * 0.35, y - radius * 0.35), radius * 0.24)
        white = linear("#e6fffb")
        return particles.put_in_front(
            particles.cut_layer(white, rings.mask() * np.float32(0.6)),
            particles.cut_layer(white, shine.mask() * np.float32(0.9)),
        )
