"""Colours in linear light: pictures are float32 arrays (height, width, 3), 1.0 is paper white."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709


def linear(code: str) -> Pixels:
    """`"#rrggbb"` as three linear-light values."""
    encoded = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / np.float32(255)
    return from_srgb(encoded)


def from_srgb(encoded: Pixels) -> Pixels:
    """Display values 0..1 as linear light."""
    low = encoded / np.float32(12.92)
    high = ((encoded + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(encoded <= 0.04045, low, high).astype(np.float32)


def bytes_to_linear(picture: Bytes) -> Pixels:
    """8-bit sRGB as linear light, by table."""
    table = from_srgb(np.arange(256, dtype=np.float32) / np.float32(255))
    return np.asarray(table[picture], np.float32)


def to_srgb(light: Pixels) -> Pixels:
    """Linear light as display values 0..1; what is brighter than paper white is cut."""
    inside = np.clip(light, 0.0, 1.0)
    curve = np.asarray(cv2.pow(inside, 1 / 2.4), np.float32) * np.float32(1.055) - np.float32(0.055)
    # Below 0.0031308 sRGB is a straight line, and the curve above lies under it.
    return np.asarray(np.maximum(curve, np.minimum(inside, np.float32(0.0031308)) * np.float32(12.92)), np.float32)


def mix(first: Pixels, second: Pixels, share: float) -> Pixels:
    """`first` where share is 0, `second` where it is 1."""
    return (first + (second - first) * np.float32(share)).astype(np.float32)


def brightness(colour: Pixels) -> float:
    """Luminance of one colour."""
    return float(colour @ LUMINANCE)


def tinted(colour: Pixels) -> Pixels:
    """The hue of a light alone: scaled to luminance 1."""
    return (colour / max(brightness(colour), 1e-3)).astype(np.float32)


def ramp(stops: Sequence[str], position: Pixels) -> Pixels:
    """Colours along evenly spaced stops; position 0 is the first, 1 the last. Adds an axis of three."""
    colours = np.stack([linear(stop) for stop in stops])
    place = np.clip(position, 0, 1) * (len(stops) - 1)
    below = np.minimum(place.astype(np.int32), len(stops) - 2)
    share = (place - below)[..., None]
    share = share * share * (3 - 2 * share) * np.float32(0.5) + share * np.float32(0.5)
    return np.asarray(colours[below] * (1 - share) + colours[below + 1] * share, np.float32)
