"""From linear light to the finished picture: bloom, film shoulder, vignette, dither."""

import numpy as np

from sandbox.painting.colour import Bytes, Pixels, to_srgb
from sandbox.painting.raster import blurred, resized, tripled


def finish(picture: Pixels, rng: np.random.Generator, *, vignette: float = 0.42, bloom: float = 0.16) -> Bytes:
    """8-bit sRGB (height, width, 3) from linear light. `picture` is used up."""
    height, width = picture.shape[:2]
    _add_bloom(picture, bloom)
    # A soft shoulder: highlights roll off instead of clipping, mid-tones keep their place.
    picture *= (1 + picture * np.float32(0.10)) / (1 + picture * np.float32(0.34)) * np.float32(1.12)
    picture *= tripled(_vignette(height, width, vignette))
    encoded = to_srgb(picture) * np.float32(255)
    encoded += _dither(rng, height, width)
    return np.asarray(np.clip(encoded + np.float32(0.5), 0, 255), np.uint8)


def _add_bloom(picture: Pixels, strength: float) -> None:
    height, width = picture.shape[:2]
    small = resized(picture, max(2, width // 8), max(2, height // 8))
    bright = np.clip(small - np.float32(0.70), 0, 4)
    spread = max(height, width) / 8
    near = blurred(bright, spread * 0.012)
    wide = blurred(bright, spread * 0.05)
    glow = near * np.float32(0.6) + wide
    picture += resized(glow, width, height) * np.float32(strength * 3.2)


def _vignette(height: int, width: int, strength: float) -> Pixels:
    y = (np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(1.05))[:, None]
    x = (np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(1.15))[None, :]
    return 1 - np.float32(strength * 1.3) * (x * x + y * y)


def _dither(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Film grain and dither in one tile, repeated: breaks up bands in dark skies at no cost."""
    side = 509  # a prime, so that the repeat never lines up with anything
    tile = rng.normal(0, 0.9, (side, side, 1)) + rng.random((side, side, 3)) - 0.5
    copies = (height // side + 1, width // side + 1, 1)
    return np.tile(tile.astype(np.float32), copies)[:height, :width]
