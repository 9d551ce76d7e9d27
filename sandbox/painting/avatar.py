"""Portraits: a DiceBear bust shaped by the prompt, lit softly in front of a plain studio backdrop."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import resvg_py
from dicebear import Avatar, Style

from sandbox.painting.accessories import accessories
from sandbox.painting.colour import Bytes, Pixels, bytes_to_linear, linear, mix
from sandbox.painting.compose import light_wrap
from sandbox.painting.figure import Cutout
from sandbox.painting.finish import finish
from sandbox.painting.noise import rng_for
from sandbox.painting.person import Person, read_person
from sandbox.painting.prompt_words import about_the_person, words_of
from sandbox.painting.raster import blurred, darken, lay, resized, shifted
from sandbox.painting.relight import relit
from sandbox.painting.sky import distance
from sandbox.painting.stage import Light, Stage

_BACKDROPS = ("#8fa3b8", "#b9a48c", "#93ab94", "#b59aa6", "#9c97b8", "#c2b59b", "#7f9fa6", "#a9adb5")
# Part of the drawing that is shown: the styles draw more below their canvas than they show.
_TOON_FRAME = (-92, -116, 952, 984)
_INK_FRAME = (-60, -96, 800, 800)
_INK_LIKES = {
    "smile": "smile", "laugh": "smileBig", "angry": "serious", "sad": "concerned", "agape": "awe",
}  # fmt: skip


@dataclass(frozen=True)
class Portrait:
    """A finished portrait (8-bit RGB) and the attribution that its drawing style asks for."""

    picture: Bytes
    credit: str


def paint_avatar(prompt: str, seed: str, width: int, height: int) -> Portrait:
    """A portrait of `width` x `height` pixels; words of the prompt shape it, prompt and seed draw the rest."""
    rng = rng_for("avatar", prompt, seed)
    person = read_person(words_of(about_the_person(prompt)), rng)
    side = min(height, round(width * 1.12))
    figure = _bust(person, f"{rng.integers(1 << 62):x}", side)
    stage = Stage(width, height, 0.5, 0.8 if rng.random() < 0.5 else 0.2)
    backdrop = linear(_backdrop_for(person, rng))
    picture = _studio(stage, backdrop)
    light = Light(
        key=linear("#ffe9cf"), ambient=linear("#b4c4e6"), towards=(stage.side * 0.4, -0.8), haze=backdrop, haze_share=0.0,
        exposure=1.02, rim=0.16,
    )  # fmt: skip
    _seat(picture, stage, figure, light)
    return Portrait(
        finish(picture, rng, vignette=0.26, bloom=0.06), _credit("open-peeps" if person.ink else "toon-head")
    )


@lru_cache(maxsize=4)
def _style_source(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8"))
    return loaded


@lru_cache(maxsize=4)
def _style(name: str) -> Style:
    return Style(_style_source(name))


def _credit(style: str) -> str:
    """Attribution as the licence asks: work, creator, licence, links; empty for public domain styles."""
    meta = _style_source(style)["meta"]
    if meta["license"]["name"].startswith("CC0"):
        return ""
    text = str(meta["license"]["text"]).replace("„", '"').replace("”", '"')
    return f"{text}. Creator: {meta['creator']['url']}"


def _bust(person: Person, seed: str, side: int) -> Cutout:
    """The drawn figure on nothing, `side` pixels square; its body runs out of the lower edge."""
    svg = _ink_svg(person, seed) if person.ink else _toon_svg(person, seed)
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True))
    decoded = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)
    if decoded.shape[:2] != (side, side):
        decoded = np.asarray(cv2.resize(decoded, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    cover = decoded[..., 3].astype(np.float32) / np.float32(255)
    return Cutout(bytes_to_linear(np.ascontiguousarray(decoded[..., 2::-1])), cover, runs_out_below=True)


def _toon_svg(person: Person, seed: str) -> str:
    options: dict[str, Any] = {
        "seed": seed, "hairVariant": [person.hair_shape], "hairColor": [person.hair], "skinColor": [person.skin],
        "clothesVariant": [person.garment], "clothesColor": [person.clothes], "mouthVariant": [person.mouth],
        "eyesVariant": [person.eyes], "eyebrowsVariant": [person.brows],
        "rearHairProbability": 100 if person.back_hair else 0, "rearHairVariant": [person.back_hair or "neckHigh"],
        "beardProbability": 100 if person.beard else 0, "beardVariant": [person.beard or "chin"],
    }  # fmt: skip
    svg = Avatar(_style("toon-head"), options).to_string()
    if person.headwear in {"explorer", "beanie", "wizard"}:
        svg = _hair_under_hat(svg)
    return _framed(svg, _TOON_FRAME, accessories(person))


def _ink_svg(person: Person, seed: str) -> str:
    heads = (
        ["bun", "long", "longBangs", "mediumBangs", "medium1", "longCurly"]
        if person.female
        else ["short1", "short3", "pomp", "flatTop", "short5"]
    )
    lot = rng_for("ink", seed, person.hair).integers(len(heads))
    options: dict[str, Any] = {
        "seed": seed, "headVariant": [person.wrapped or ("hatHip" if person.headwear == "explorer" else heads[int(lot)])],
        "expressionVariant": [_INK_LIKES.get(person.mouth, "smile")], "skinColor": [person.skin], "clothingColor": [person.clothes],
        "headContrastColor": [person.hair], "maskProbability": 0, "facialHairProbability": 100 if person.beard else 0,
        "facialHairVariant": ["full2"], "accessoriesProbability": 100 if person.glasses else 0,
        "accessoriesVariant": ["sunglasses" if person.glasses == "dark" else "glasses"],
    }  # fmt: skip
    return _framed(Avatar(_style("open-peeps"), options).to_string(), _INK_FRAME, "")


def _framed(svg: str, frame: tuple[int, int, int, int], extra: str) -> str:
    """Show more of the drawing than its canvas does, and draw `extra` over it."""
    svg = re.sub(r'viewBox="[^"]*"', 'viewBox="{} {} {} {}"'.format(*frame), svg, count=1)
    svg = re.sub(
        r'(<clipPath[^>]*><rect )width="\d+" height="\d+"', r'\1x="-400" y="-400" width="1600" height="1800"', svg
    )
    return svg.replace("</svg>", extra + "</svg>")


def _hair_under_hat(svg: str) -> str:
    """Hide the hair above the brim, where it would stick out of the hat."""
    clip = '<clipPath id="under-hat"><rect x="-400" y="236" width="1600" height="1600"/></clipPath>'
    return re.sub(r'(<use [^>]*href="#hair-[^"]*"/>)', rf'{clip}<g clip-path="url(#under-hat)">\1</g>', svg)


def _backdrop_for(person: Person, rng: np.random.Generator) -> str:
    """The backdrop that stands farthest from the figure's own colours, so that it can be cut out again."""
    own = np.stack([_lab(code) for code in (person.hair, person.skin, person.clothes, person.headwear_colour)])
    lots = rng.random(len(_BACKDROPS)) * 6

    def apart(index: int) -> float:
        return float(np.linalg.norm(own - _lab(_BACKDROPS[index]), axis=1).min() + lots[index])

    return _BACKDROPS[max(range(len(_BACKDROPS)), key=apart)]


def _lab(code: str) -> Pixels:
    encoded = np.array([[[int(code[i : i + 2], 16) for i in (1, 3, 5)]]], np.float32) / 255
    lab = np.asarray(cv2.cvtColor(encoded, cv2.COLOR_RGB2LAB), np.float32)
    return np.asarray(lab[0, 0], np.float32)


def _studio(stage: Stage, backdrop: Pixels) -> Pixels:
    """A plain wall: lighter behind the shoulder that the light comes from, falling off to the corners."""
    small = stage.reduced(8)
    reach = np.float32(0.75 * max(small.width, small.height))
    pool = np.exp(-((distance(small, 0.5 + 0.10 * stage.side, 0.36) / reach) ** 2) * np.float32(2.4))[..., None]
    dark, bright = backdrop * np.float32(0.52), mix(backdrop, np.ones(3, np.float32), 0.24) * np.float32(1.06)
    return resized((dark + (bright - dark) * pool).astype(np.float32), stage.width, stage.height)


def _seat(picture: Pixels, stage: Stage, figure: Cutout, light: Light) -> None:
    side = figure.cover.shape[0]
    colour = relit(figure, light)
    left = (stage.width - side) // 2
    columns = slice(max(0, left), min(stage.width, left + side))
    inside = slice(columns.start - left, columns.stop - left)
    cover = np.zeros((stage.height, stage.width), np.float32)
    cover[stage.height - side :, columns] = figure.cover[:, inside]
    paint = np.zeros_like(picture)
    paint[stage.height - side :, columns] = colour[:, inside]
    shadow = blurred(shifted(cover, -light.towards[0] * 0.05 * side, 0.03 * side), 0.06 * side)
    darken(picture, shadow * np.float32(0.16))
    lay(picture, light_wrap(paint, cover, picture, 0.0022 * side), cover)
