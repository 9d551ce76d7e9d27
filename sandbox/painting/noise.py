"""Seeded randomness: the generator behind a brief, and smooth noise in one and two dimensions."""

import hashlib

import cv2
import numpy as np

from sandbox.painting.colour import Pixels


def rng_for(*keys: str) -> np.random.Generator:
    """A generator that gives the same numbers for the same words, on every machine."""
    digest = hashlib.sha256("|".join(keys).encode("utf-8", "surrogatepass")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def smoothstep(low: float, high: float, value: Pixels) -> Pixels:
    """0 below `low`, 1 above `high`, an S-curve between."""
    share = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def fbm(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    cells: float,
    octaves: int = 5,
    gain: float = 0.5,
    ridged: bool = False,
    stretch: float = 1.0,
) -> Pixels:
    """Fractal value noise of shape (height, width), 0..1 with mean near 0.5.

    `cells` counts the blobs of the coarsest octave along the height; `stretch` below 1 makes them wider than high.
    """
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        rows = max(2, int(cells * 2**octave))
        columns = max(2, int(cells * 2**octave * width / height * stretch))
        if rows > height and columns > width:
            break
        lattice = rng.random((rows + 3, columns + 3), dtype=np.float32)
        layer = np.asarray(cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        if ridged:
            layer = 1 - np.abs(2 * layer - 1)
        total += np.float32(weight) * layer
        weights += weight
        weight *= gain
    return total / np.float32(max(weights, 1e-6))


def profile(
    rng: np.random.Generator,
    width: int,
    *,
    cells: float,
    octaves: int = 6,
    gain: float = 0.45,
    ridged: bool = False,
) -> Pixels:
    """One line of noise of length `width`, stretched to exactly 0..1; `cells` counts its coarsest humps."""
    total = np.zeros(width, np.float32)
    weight = 1.0
    for octave in range(octaves):
        knots = max(2, round(cells * 2**octave)) + 3
        offset = float(rng.random())
        place = (np.linspace(0, knots - 3, width) + offset).astype(np.float32)
        values = rng.random(knots + 1, dtype=np.float32)
        below = place.astype(np.int32)
        share = place - below
        share = share * share * (3 - 2 * share)
        layer = values[below] * (1 - share) + values[below + 1] * share
        if ridged:
            layer = 1 - np.abs(2 * layer - 1)
        total += np.float32(weight) * layer.astype(np.float32)
        weight *= gain
    low, high = float(total.min()), float(total.max())
    return ((total - low) / max(high - low, 1e-6)).astype(np.float32)
