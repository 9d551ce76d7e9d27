"""A rainy street at night."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sandbox.painting import particles, sky
from sandbox.painting.brush import Brush, Point
from sandbox.painting.colour import Pixels, linear, mix
from sandbox.painting.noise import fbm
from sandbox.painting.raster import add_light, blurred, lay, remapped
from sandbox.painting.stage import Light, Scene, Stage

_NEON = ("#ff2e93", "#19e3ff", "#ffb02e", "#9d4dff", "#35ffa8", "#ff4d4d")
_ROOMS = ("#ffc98a", "#8fd0ff", "#ffb0d8")
_AIR = linear("#3a2470")


@dataclass(frozen=True)
class _Lamps:
    """What shines in one colour: lit panes, and tubes that glow."""

    panes: Brush
    tubes: Brush


@dataclass(frozen=True)
class _Front:
    """One house front along the street; `rank` 0 is farthest, fronts shrink towards the vanishing point."""

    stage: Stage
    level: float  # the vanishing point, fraction of the height
    side: int
    rank: int
    tall: float

    @property
    def far(self) -> float:
        """Where the front begins, as a share of the way from the vanishing point to the frame."""
        return 0.10 + 0.18 * self.rank

    @property
    def near(self) -> float:
        """Where it ends."""
        return self.far + 0.18

    @property
    def floors(self) -> int:
        """Floors that fit its height."""
        return max(4, round(self.tall * 19))

    def at(self, share: float, up: float) -> Point:
        """The pixel of a place on the front; `up` below 0 is its foot."""
        stage = self.stage
        reach = max(stage.focus_x, 1 - stage.focus_x) * stage.width * 1.12
        rise = -0.34 * stage.height * share if up < 0 else up * share * stage.height * 1.5
        return stage.focus_x * stage.width + self.side * share * reach, self.level * stage.height - rise


class NeonCity:
    """Towers to a vanishing point, glowing signs without words, wet asphalt, rain."""

    name = "neon-city"
    words: ClassVar[dict[str, int]] = {
        "neon": 4, "city": 3, "cyberpunk": 4, "street": 3, "urban": 3, "rain": 2, "rainy": 2, "tokyo": 3, "downtown": 3,
        "skyscraper": 2, "skyscrapers": 2, "night": 1, "futuristic": 2, "metropolis": 3, "alley": 2, "signs": 1, "town": 1,
    }  # fmt: skip

    def paint(self, stage: Stage, rng: np.random.Generator) -> Scene:
        """Paint the sky glow, rows of houses on both sides, the wet street."""
        level = 0.62 + 0.02 * rng.random()
        picture = sky.graded(stage, ["#0a0720", "#1b1046", "#43206f", "#8a2f86", "#e0559a"], level)
        sky.glow(picture, stage, (stage.focus_x, level), linear("#ff6fb0"), radius=260, strength=0.40)
        self._towers(picture, stage, rng, level)
        glowing = self._houses(picture, stage, rng, level)
        picture += glowing
        picture += blurred(glowing, 10 * stage.unit) * np.float32(0.75)
        picture += blurred(glowing, 46 * stage.unit) * np.float32(0.55)
        self._street(picture, stage, rng, level)
        self._traffic(picture, stage, rng, level)
        light = Light(
            key=linear("#ff79c0"), ambient=linear("#7f8fe0"), towards=(stage.side * 0.95, -0.25), haze=_AIR,
            haze_share=0.05, exposure=0.90, rim=1.15, floor_glow=0.10,
        )  # fmt: skip
        rain = particles.streaks(stage, rng, count=420, length=58, slant=-0.10 * stage.side) * np.float32(0.34)
        return Scene(picture, light, particles.cut_layer(linear("#c8d4ff"), rain))

    def _towers(self, picture: Pixels, stage: Stage, rng: np.random.Generator, level: float) -> None:
        for rank in range(2):
            towers, windows = Brush(stage), Brush(stage)
            for _ in range(20 - 6 * rank):
                x = rng.random() * stage.width
                wide = (22 + 34 * rng.random()) * stage.unit * (1 + 0.5 * rank)
                top = stage.height * (level - 0.12 - 0.30 * rng.random())
                towers.polygon(
                    [
                        (x - wide, stage.height * level),
                        (x - wide, top),
                        (x + wide, top),
                        (x + wide, stage.height * level),
                    ]
                )
                if rng.random() < 0.5:
                    towers.line([(x, top), (x, top - 40 * stage.unit)], 2 * stage.unit)
                self._lit_windows(windows, rng, stage, (x - wide, x + wide, top, stage.height * level))
            air = mix(linear("#b0468f"), linear("#1c1245"), 0.45 + 0.35 * rank)
            lay(picture, air, towers.mask())
            lay(picture, mix(linear("#ffb3d0"), linear("#8fd8ff"), float(rank)), windows.mask() * np.float32(0.42))

    def _lit_windows(
        self, brush: Brush, rng: np.random.Generator, stage: Stage, box: tuple[float, float, float, float]
    ) -> None:
        left, right, top, bottom = box
        step = 11 * stage.unit
        for y in np.arange(top + step, bottom, step * 1.15):
            for x in np.arange(left + step * 0.5, right - step * 0.5, step):
                if rng.random() < 0.30:
                    brush.polygon(
                        [(x, y), (x + step * 0.5, y), (x + step * 0.5, y + step * 0.45), (x, y + step * 0.45)],
                        0.4 + 0.6 * rng.random(),
                    )

    def _houses(self, picture: Pixels, stage: Stage, rng: np.random.Generator, level: float) -> Pixels:
        """Lay the house fronts; what shines on them is given back as a picture of its own."""
        lamps = {code: _Lamps(Brush(stage), Brush(stage)) for code in (*_NEON, *_ROOMS)}
        for rank in range(6):
            walls, ledges = Brush(stage), Brush(stage)
            for side in (-1, 1):
                front = _Front(stage, level, side, rank, (0.34 + 0.42 * rng.random()) * (1.0 + 0.10 * rank))
                walls.polygon(
                    [
                        front.at(front.far, -1),
                        front.at(front.far, front.tall),
                        front.at(front.near, front.tall),
                        front.at(front.near, -1),
                    ]
                )
                for floor in range(1, front.floors + 1):
                    up = front.tall * floor / front.floors
                    ledges.line([front.at(front.far, up), front.at(front.near, up)], 1.5 * stage.unit, 0.5)
                self._windows(lamps, rng, front)
                for _ in range(3):
                    self._sign(lamps[_NEON[int(rng.integers(len(_NEON)))]], stage, rng, front)
            tone = mix(linear("#4a2a78"), linear("#100c26"), min(1.0, 0.2 + 0.16 * rank))
            lay(picture, tone, walls.mask())
            lay(picture, tone * np.float32(1.9), ledges.mask() * np.float32(0.6))
        glowing = np.zeros_like(picture)
        for code, lamp in lamps.items():
            hue = linear(code)
            add_light(glowing, hue, lamp.panes.mask() * np.float32(0.34))
            if code in _NEON:
                add_light(glowing, hue * np.float32(1.5) + np.float32(0.12), lamp.tubes.mask())
        return glowing

    def _windows(self, lamps: dict[str, _Lamps], rng: np.random.Generator, front: _Front) -> None:
        wide, floors = front.near - front.far, front.floors
        for floor in range(1, floors):
            code = _ROOMS[int(rng.integers(len(_ROOMS)))]
            for bay in range(5):
                if rng.random() < 0.55:
                    continue
                a, b = front.far + wide * (bay + 0.22) / 5, front.far + wide * (bay + 0.74) / 5
                low, high = front.tall * (floor + 0.22) / floors, front.tall * (floor + 0.72) / floors
                pane = [front.at(a, low), front.at(a, high), front.at(b, high), front.at(b, low)]
                lamps[code].panes.polygon(pane, 0.2 + 0.8 * rng.random() ** 2)

    def _sign(self, lamp: _Lamps, stage: Stage, rng: np.random.Generator, front: _Front) -> None:
        wide = front.near - front.far
        a = front.far + wide * (0.06 + 0.6 * rng.random())
        b = min(front.near, a + wide * (0.12 + 0.22 * rng.random()))
        low = 0.06 + front.tall * 0.55 * rng.random()
        high = low + front.tall * (0.08 + 0.24 * rng.random())
        corners = [front.at(a, low), front.at(a, high), front.at(b, high), front.at(b, low)]
        lamp.panes.polygon(corners, 0.8)
        lamp.tubes.line([*corners, corners[0]], 3.2 * stage.unit)
        for bar in range(1, int(rng.integers(2, 6))):
            share = low + (high - low) * bar / 6
            start, end = a + (b - a) * 0.2, a + (b - a) * (0.45 + 0.35 * rng.random())
            lamp.tubes.line([front.at(start, share), front.at(end, share)], 2.8 * stage.unit)

    def _traffic(self, picture: Pixels, stage: Stage, rng: np.random.Generator, level: float) -> None:
        """Head lights coming, tail lights going, far down the street."""
        for code, lane in (("#fff0d0", -1), ("#ff2a2a", 1)):
            brush = Brush(stage)
            for _ in range(5):
                far = 0.04 + 0.14 * rng.random()
                x = stage.focus_x * stage.width + lane * far * 0.55 * stage.width * 0.5
                y = (level + 0.012 + 0.20 * far) * stage.height
                for half in (-1, 1):
                    brush.disc((x + half * far * 60 * stage.unit, y), (1.2 + 14 * far) * stage.unit)
            particles.lights(picture, stage, linear(code), brush.mask(), halo=10, strength=1.3)

    def _street(self, picture: Pixels, stage: Stage, rng: np.random.Generator, level: float) -> None:
        shore = int(stage.height * (level + 0.012))
        rows = stage.height - shore
        depth = (np.arange(rows, dtype=np.float32) / rows)[:, None]
        grain = fbm(rng, rows, stage.width, cells=26, octaves=4, gain=0.6, stretch=0.22) - np.float32(0.5)
        puddles = np.clip((fbm(rng, rows, stage.width, cells=5, octaves=3, stretch=0.22) - np.float32(0.44)) * 6, 0, 1)
        jitter = grain * (30 + 120 * depth) * np.float32(stage.unit) * (np.float32(1.2) - puddles)
        up = np.arange(rows, dtype=np.float32)[:, None]
        smeared = blurred(picture[:shore], 3.0 * stage.unit)
        map_y = np.clip(shore - up * np.float32(1.25) + jitter * np.float32(1.6), 0, shore - 1)
        mirror = remapped(smeared, stage.columns() + jitter * np.float32(0.35), map_y)
        asphalt = linear("#0b0a18") * (1 + grain[..., None])
        share = (np.float32(0.34) + np.float32(0.56) * puddles)[..., None] * (1 - np.float32(0.25) * depth[..., None])
        picture[shore:] = asphalt + mirror * share
        lane = np.exp(-(((stage.columns() / stage.width - stage.focus_x) / (0.03 + 0.25 * depth)) ** 2))
        add_light(picture[shore:], linear("#ff6fb0"), (lane * (1 - depth) * np.float32(0.16)).astype(np.float32))
