"""A station on the moon."""

from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky, terrain
from sandbox.painting.brush import Brush
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm, smoothstep
from sandbox.painting.raster import add_light, blurred, lay, resized
from sandbox.painting.stage import Light, Scene, Stage

_DUST = linear("#b9b6b4")
_INK = linear("#05060b")
_WARM = linear("#ffb45c")


class MoonBase:
    """Hard light on grey craters, glass domes, a mast, the earth above a black horizon."""

    name = "moon-base"
    words: ClassVar[dict[str, int]] = {
        "moon": 4, "lunar": 4, "space": 3, "astronaut": 4, "planet": 3, "base": 1, "station": 2, "galaxy": 3, "cosmic": 2,
        "crater": 3, "earth": 1, "rocket": 3, "spaceship": 3, "orbit": 2, "stars": 1, "scifi": 2, "alien": 2, "mars": 2,
        "spacesuit": 3, "cosmonaut": 4,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint stars, earth, ranges, craters, domes."""
        horizon = 0.66 + 0.02 * rng.random()
        picture = sky.graded(stage, ["#010207", "#03040c", "#060814", "#0a0d1c"], horizon)
        self._galaxy(picture, stage, rng)
        sky.stars(picture, stage, rng, count=2600, horizon=0.95, power=1.3)
        self._earth(picture, stage, rng)
        for rank in range(2):
            line = terrain.skyline(
                stage,
                rng,
                base=horizon + 0.02 * rank,
                rise=0.12 - 0.06 * rank,
                cells=2.2 + rank,
                ridged=False,
                gain=0.4,
            )
            look = terrain.Relief(
                colour=_DUST * np.float32(0.30 + 0.16 * rank),
                haze=_INK,
                sun=_DUST,
                mist=0.25,
                sunlit=0.30,
                relief=0.55,
                cells=4,
            )
            terrain.hills(picture, stage, rng, line, look, until=horizon + 0.06)
        self._ground(picture, stage, rng, horizon)
        for offset, size in ((0.13, 74.0), (-0.015, 124.0), (-0.14, 58.0)):
            self._dome(picture, stage, (stage.focus_x + offset * stage.side, horizon + 0.075), size)
        self._mast(picture, stage, horizon)
        light = Light(
            key=linear("#fffaf0"), ambient=linear("#44598a"), towards=(stage.side * 0.9, -0.4), haze=linear("#1a2038"),
            haze_share=0.0, exposure=0.94, rim=0.75,
        )  # fmt: skip
        dust = particles.specks(stage, rng, count=60, size=(0.6, 1.8), rows=(0.6, 1.0), soft=0.6) * np.float32(0.5)
        return Scene(picture, light, particles.cut_layer(_DUST, dust))

    def _galaxy(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        small = stage.reduced(4)
        tilt = 0.55 * stage.side
        across = small.rows() / small.height - 0.30 - tilt * (small.columns() / small.width - 0.45)
        cloud = fbm(rng, small.height, small.width, cells=5, octaves=6, gain=0.58)
        band = np.exp(-((across / 0.16) ** 2)) * np.clip(cloud * 2.1 - 0.55, 0, 1.4)
        rift = 1 - 0.75 * np.exp(-((across / 0.045) ** 2)) * smoothstep(0.35, 0.6, cloud)
        add_light(picture, linear("#5a6cc4"), (band * rift * 0.42).astype(np.float32))
        add_light(picture, linear("#c76a9c"), (band * rift * cloud * 0.20).astype(np.float32))

    def _earth(self, picture: Pixels, stage: Stage, rng: np.random.Generator) -> None:
        radius = 150 * stage.unit
        cx, cy = (stage.focus_x + 0.02 * stage.side) * stage.width, 0.28 * stage.height
        x0, y0 = int(cx - radius * 1.5), int(cy - radius * 1.5)
        side = int(radius * 3)
        grid = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(radius) - np.float32(1.5)
        x, y = grid[None, :], grid[:, None]
        far = np.sqrt(x * x + y * y)
        z = np.sqrt(np.clip(1 - far * far, 0, 1))
        land = smoothstep(0.52, 0.56, fbm(rng, side, side, cells=7, octaves=6, gain=0.52))[..., None]
        swirl = smoothstep(0.50, 0.66, fbm(rng, side, side, cells=10, octaves=6, gain=0.56, stretch=0.45))[..., None]
        globe = linear("#1250a8") + (linear("#3f7d3c") - linear("#1250a8")) * land
        globe = globe + (np.float32(0.95) - globe) * swirl * np.float32(0.85)
        day = np.clip(x * 0.75 * stage.side - y * 0.45 + z * 0.40, 0, 1)[..., None]
        globe = globe * (day * np.float32(1.15) + np.float32(0.012)) + linear("#6fb4ff") * (
            (1 - z)[..., None] ** 3 * day * np.float32(0.9)
        )
        cover = np.clip((1 - far) * np.float32(radius) + 0.5, 0, 1)[..., None]
        air = (
            np.exp(-np.clip(far - 1, 0, None) / np.float32(0.055))[..., None]
            * np.clip(x * 0.75 * stage.side - y * 0.45 + 0.55, 0, 1)[..., None]
        )
        rows, columns = slice(max(0, y0), min(stage.height, y0 + side)), slice(max(0, x0), min(stage.width, x0 + side))
        inside = (slice(rows.start - y0, rows.stop - y0), slice(columns.start - x0, columns.stop - x0))
        target = picture[rows, columns]
        target += linear("#4f9dff") * (air[inside] * np.float32(0.55))
        target += (globe[inside].astype(np.float32) - target) * cover[inside]

    def _ground(self, picture: Pixels, stage: Stage, rng: np.random.Generator, horizon: float) -> None:
        line = terrain.skyline(stage, rng, base=horizon + 0.055, rise=0.025, cells=1.5, ridged=False, gain=0.3)
        small = stage.reduced(2)
        level = np.clip((small.rows() / small.height - horizon - 0.03) / (0.97 - horizon), 0.0, 1.2)
        grain = fbm(rng, small.height, small.width, cells=22, octaves=5, gain=0.6, stretch=0.35)
        relief = np.gradient(blurred(grain, 0.8), axis=1) * np.float32(-stage.side * 5.0)
        shade = np.float32(0.42) + relief - np.float32(0.16) * level
        for _ in range(26):
            far = rng.random() ** 1.3
            x, y = rng.random(), horizon + 0.07 + (0.96 - horizon) * far
            size = (0.006 + 0.055 * far) * (0.5 + rng.random())
            dx = (small.columns() / small.width - np.float32(x)) / np.float32(size * 1.0)
            dy = (small.rows() / small.height - np.float32(y)) / np.float32(size * 0.34 * small.width / small.height)
            ring = np.sqrt(dx * dx + dy * dy)
            bowl = np.exp(-((ring / np.float32(0.85)) ** 4))
            rim = np.exp(-(((ring - 1) / np.float32(0.22)) ** 2))
            # The bowl's far wall faces the light, its near wall lies in shadow; on the rim it is the other way round.
            shade += (np.float32(0.34) * rim - np.float32(0.42) * bowl) * dx * np.float32(stage.side) - np.float32(
                0.12
            ) * bowl
        soil = np.clip(shade, 0.015, 1)[..., None] * _DUST
        lay(picture, resized(soil.astype(np.float32), stage.width, stage.height), terrain.cover_below(stage, line))

    def _dome(self, picture: Pixels, stage: Stage, foot: tuple[float, float], size: float) -> None:
        x, y, radius = foot[0] * stage.width, foot[1] * stage.height, size * stage.unit
        turn = np.linspace(np.pi, 2 * np.pi, 48)
        bow = np.stack([x + np.cos(turn) * radius, y + np.sin(turn) * radius * 0.92], axis=1)
        shell, ribs, base = Brush(stage), Brush(stage), Brush(stage)
        shell.polygon(bow.astype(np.float32))
        for share in (-0.6, -0.2, 0.2, 0.6):
            rib = np.stack(
                [x + np.cos(turn) * radius * share, y + np.sin(turn) * radius * 0.92 * np.sqrt(1 - share**2 * 0.2)],
                axis=1,
            )
            ribs.line(rib.astype(np.float32), 1.5 * stage.unit)
        ribs.line(bow.astype(np.float32), 2.5 * stage.unit)
        body = shell.mask()
        rows, columns = stage.rows(), stage.columns()
        inner = np.clip(1 - np.sqrt(((columns - x) / radius) ** 2 + ((rows - y) / (radius * 0.9)) ** 2), 0, 1)
        glass = linear("#18304e") + _WARM * (np.float32(0.25) + inner * np.float32(1.15))[..., None]
        lay(picture, glass.astype(np.float32), body * np.float32(0.95))
        lay(picture, linear("#d8e4f2") * np.float32(0.8), ribs.mask() * np.float32(0.75))
        shine = np.exp(
            -(((columns - x - stage.side * radius * 0.48) / (radius * 0.16)) ** 2)
            - ((rows - y + radius * 0.55) / (radius * 0.28)) ** 2
        )
        add_light(picture, linear("#ffffff"), (shine * body * 0.7).astype(np.float32))
        base.polygon(
            [
                (x - radius * 1.08, y - radius * 0.05),
                (x + radius * 1.08, y - radius * 0.05),
                (x + radius * 1.14, y + radius * 0.12),
                (x - radius * 1.14, y + radius * 0.12),
            ]
        )
        lay(picture, mix(_INK, _DUST, 0.40), base.mask())
        lamp = Brush(stage)
        for index in range(7):
            lamp.disc((x + (index - 3) * radius * 0.30, y + radius * 0.03), 2.4 * stage.unit)
        add_light(picture, _WARM, lamp.mask() * np.float32(1.6))
        sky.glow(picture, stage, (foot[0], foot[1] + 0.02), _WARM, radius=size * 0.9, strength=0.20)

    def _mast(self, picture: Pixels, stage: Stage, horizon: float) -> None:
        brush = Brush(stage)
        x, y = (stage.focus_x + 0.215 * stage.side) * stage.width, (horizon + 0.085) * stage.height
        unit = stage.unit
        brush.line([(x, y), (x, y - 150 * unit)], 3 * unit)
        for up in (40, 80, 120):
            brush.line([(x - 9 * unit, y - up * unit), (x + 9 * unit, y - (up + 20) * unit)], 1.4 * unit)
        turn = np.linspace(-0.2, np.pi - 0.2, 20)
        dish = np.stack([x + np.cos(turn) * 30 * unit * stage.side, y - 158 * unit + np.sin(turn) * 15 * unit], axis=1)
        brush.polygon(dish.astype(np.float32))
        lay(picture, linear("#8d93a0"), brush.mask())
        beacon = Brush(stage)
        beacon.disc((x, y - 172 * unit), 3.6 * unit)
        particles.lights(picture, stage, linear("#ff3b30"), blurred(beacon.mask(), 0.5), halo=9, strength=1.6)
