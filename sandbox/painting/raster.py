"""Typed, fast pixel operations: the only place where layers are blurred, moved, enlarged or laid over each other."""

import cv2
import numpy as np
import numpy.typing as npt

from sandbox.painting.colour import Pixels

Numbers = npt.NDArray[np.floating]  # coordinates, in whatever precision they were reckoned


def resized(layer: Pixels, width: int, height: int) -> Pixels:
    """`layer` at another size: area average when it shrinks, cubic when it grows."""
    shrinks = layer.shape[0] > height or layer.shape[1] > width
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(layer, (width, height), interpolation=kind), np.float32)


def blurred(layer: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, sigma in pixels; wide blurs are made on a smaller copy, where they cost nothing."""
    if sigma < 0.3:
        return layer
    height, width = layer.shape[:2]
    shrink = min(int(sigma / 3), min(height, width) // 8)
    if shrink < 2:
        return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)
    small = resized(layer, max(2, width // shrink), max(2, height // shrink))
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), sigma / shrink), np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def shifted(layer: Pixels, dx: float, dy: float, *, stretch_border: bool = False) -> Pixels:
    """`layer` moved right by dx and down by dy pixels; what comes in is zero, or the border's own values."""
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    border = cv2.BORDER_REPLICATE if stretch_border else cv2.BORDER_CONSTANT
    size = (layer.shape[1], layer.shape[0])
    return np.asarray(cv2.warpAffine(layer, move, size, borderMode=border), np.float32)


def remapped(layer: Pixels, map_x: Numbers, map_y: Numbers) -> Pixels:
    """For each pixel the value of `layer` at (map_x, map_y); borders are mirrored."""
    taken = cv2.remap(
        layer,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(taken, np.float32)


def tripled(mask: Pixels) -> Pixels:
    """A mask (height, width) as (height, width, 3): far quicker to multiply with than a broadcast axis."""
    return np.asarray(cv2.merge((mask, mask, mask)), np.float32)


def rows_of(mask: Pixels) -> slice:
    """The rows of a mask in which anything is set; an empty slice when nothing is."""
    used = np.flatnonzero(mask.max(axis=1) > 1e-4)
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def lay(picture: Pixels, paint: Pixels, mask: Pixels) -> None:
    """Lay `paint` (one colour, or a layer as large as the picture) over `picture`, in place, where mask is 1."""
    rows = rows_of(mask)
    if rows.start == rows.stop:
        return
    target = picture[rows]
    source = paint if paint.ndim == 1 else paint[rows]
    target += (source - target) * tripled(np.ascontiguousarray(mask[rows]))


def add_light(picture: Pixels, colour: Pixels, amount: Pixels) -> None:
    """Add `colour` times `amount` (height, width) to the picture, in place; amount may be smaller, it is enlarged."""
    height, width = picture.shape[:2]
    full = amount if amount.shape == (height, width) else resized(amount, width, height)
    picture += tripled(full) * colour


def darken(picture: Pixels, amount: Pixels) -> None:
    """Multiply the picture by 1 - amount, in place."""
    height, width = picture.shape[:2]
    full = amount if amount.shape == (height, width) else resized(amount, width, height)
    picture *= tripled(1 - full)
