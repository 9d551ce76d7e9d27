"""Light on a figure: the hue of the scene, a soft form, a thin rim; its own colours stay recognisable."""

import numpy as np

from sandbox.painting.colour import Pixels, mix, tinted
from sandbox.painting.figure import Cutout
from sandbox.painting.raster import blurred, shifted, tripled
from sandbox.painting.stage import Light

_FORM = 0.34  # contrast between lit and unlit side; flat drawings fall apart above 0.36
_WHITE = np.ones(3, np.float32)


def relit(figure: Cutout, light: Light) -> Pixels:
    """The figure's colours in the light of a scene; same shape as `figure.colour`."""
    cover = figure.cover
    height = cover.shape[0]
    form = _form(cover, light.towards)
    hue = mix(_WHITE, tinted(light.key), 0.32)
    cool = mix(_WHITE, tinted(light.ambient), 0.28)
    tint = tripled(form) * hue + tripled(1 - form) * cool
    shade = np.float32(1 - _FORM) + np.float32(2 * _FORM) * form
    colour = figure.colour * tint * tripled(shade) * np.float32(light.exposure)
    if light.floor_glow > 0:
        rise = np.clip(np.linspace(-0.9, 1.0, height, dtype=np.float32), 0, 1)[:, None] ** 2
        glow = rise * np.float32(light.floor_glow) * (np.float32(0.5) + form)
        colour += (
            tripled(np.asarray(glow, np.float32)) * light.key * (figure.colour * np.float32(0.8) + np.float32(0.2))
        )
    colour += tripled(_rim(cover, light)) * light.key
    return np.asarray(colour + (light.haze - colour) * np.float32(light.haze_share), np.float32)


def _form(cover: Pixels, towards: tuple[float, float]) -> Pixels:
    """0 on the side turned away, 1 on the side turned to the light: the silhouette read as a soft relief."""
    height, width = cover.shape
    reach = min(height, width)
    padded = np.pad(cover, ((0, reach // 3), (0, 0)), mode="edge")  # a bust goes on below its cut
    soft = blurred(padded, reach * 0.10)
    moved = shifted(soft, -towards[0] * reach * 0.15, -towards[1] * reach * 0.13)
    form = np.float32(0.5) + np.float32(0.85) * (soft - blurred(moved, reach * 0.03))
    return np.ascontiguousarray(np.clip(form, 0, 1)[:height], np.float32)


def _rim(cover: Pixels, light: Light) -> Pixels:
    """A thin bright line along the edge that faces the light, fading towards the lower edge."""
    height = cover.shape[0]
    thin = max(1.4, min(cover.shape) * 0.0075)
    across, down = -light.towards[0] * thin, -light.towards[1] * thin
    edge = np.clip(cover - blurred(shifted(cover, across * 1.7, down * 1.7), thin * 0.5), 0, 1) * cover
    sheen = np.clip(cover - blurred(shifted(cover, across * 5, down * 5), thin * 4), 0, 1) * cover
    fade = np.clip(np.linspace(1.25, 0.35, height, dtype=np.float32), 0, 1)[:, None]
    strength = np.float32(light.rim)
    return np.asarray((edge * np.float32(1.05) + sheen * np.float32(0.22)) * fade * strength, np.float32)
