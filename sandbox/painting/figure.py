"""Cutting the figure out of a given picture: by its alpha, off a studio backdrop, by grabCut, or as a soft oval."""

from dataclasses import dataclass

import cv2
import numpy as np

from sandbox.painting.brief import UnreadableReference
from sandbox.painting.colour import Bytes, Pixels, bytes_to_linear
from sandbox.painting.noise import smoothstep
from sandbox.painting.raster import blurred, resized, tripled

_LONGEST_SIDE = 1400  # pixels: more than any figure gets in a scene
_LARGEST_AREA = 80_000_000  # pixels: a picture that claims more is taken for a decompression bomb
_GRABCUT_SIDE = 200  # pixels; its cut of the graph gets much slower with size
_LEAST_CONTRAST = 6.0  # grey levels; on flatter pictures grabCut takes minutes and finds nothing
_ROUGHEST_BACKDROP = 2.5  # median Lab distance from a smooth surface; our own studio has 0.4, as JPEG 0.7
_SMALLEST_SIDE = 16  # pixels: below this there is nothing to tell a figure by


@dataclass(frozen=True)
class Cutout:
    """A figure: linear-light colours and cover 0..1 of the same size, cropped to what is covered.

    `runs_out_below` says that the given picture cut it at its lower edge, as portraits do.
    """

    colour: Pixels
    cover: Pixels
    runs_out_below: bool


def read_reference(data: bytes, index: int) -> Bytes:
    """Decode a reference to 8-bit RGBA (height, width, 4). Raises `UnreadableReference`."""
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:
        decoded = None
    if decoded is None or decoded.size == 0 or decoded.shape[0] * decoded.shape[1] > _LARGEST_AREA:
        raise UnreadableReference(index, len(data))
    return _as_rgba(np.asarray(decoded))


def _as_rgba(decoded: np.ndarray) -> Bytes:
    if decoded.dtype != np.uint8:
        top = 65535.0 if decoded.dtype == np.uint16 else max(float(decoded.max()), 1e-6)
        decoded = np.clip(decoded.astype(np.float32) / top * 255, 0, 255).astype(np.uint8)
    layers = 1 if decoded.ndim == 2 else decoded.shape[2]
    if layers in {1, 2}:
        grey = decoded.reshape(*decoded.shape[:2], layers)
        alpha = grey[..., 1:] if layers == 2 else np.full_like(grey, 255)
        rgba = np.concatenate([np.repeat(grey[..., :1], 3, axis=2), alpha], axis=2)
    elif layers == 3:
        rgba = np.dstack([decoded[..., ::-1], np.full(decoded.shape[:2], 255, np.uint8)])
    else:
        rgba = decoded[..., [2, 1, 0, 3]]
    largest = max(rgba.shape[:2])
    if largest <= _LONGEST_SIDE:
        return np.ascontiguousarray(rgba)
    scale = _LONGEST_SIDE / largest
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    return np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA), np.uint8)


def cut_out(picture: Bytes) -> Cutout:
    """The figure of a picture (RGBA); never fails: what has no figure is used whole, in a soft oval."""
    rgb = np.ascontiguousarray(picture[..., :3])
    alpha = picture[..., 3].astype(np.float32) / np.float32(255)
    if min(alpha.shape) < _SMALLEST_SIDE:
        return _oval(rgb)
    cover: Pixels | None = alpha
    if float((alpha < 0.02).mean()) <= 0.03:
        studio = _off_backdrop(rgb)
        cover = studio if studio is not None else _by_border_model(rgb)
    if cover is None or float((cover > 0.5).mean()) < 0.02:
        return _oval(rgb)
    return _cropped(_clean_edges(bytes_to_linear(rgb), cover), cover)


def _cropped(colour: Pixels, cover: Pixels) -> Cutout:
    solid = cover > 0.1
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    runs_out = bool(rows[-1] >= cover.shape[0] * 0.975)
    return Cutout(np.ascontiguousarray(colour[box]), np.ascontiguousarray(cover[box]), runs_out)


def _clean_edges(colour: Pixels, cover: Pixels) -> Pixels:
    """Half covered pixels still carry the old background: give them the colour of the solid figure beside them."""
    solid = (cover > 0.98).astype(np.uint8)
    core = np.asarray(cv2.erode(solid, np.ones((3, 3), np.uint8)), np.float32)
    reach = max(1.5, max(cover.shape) / 400)
    weight = blurred(core, reach)
    spread = blurred(colour * tripled(core), reach) / tripled(np.maximum(weight, np.float32(1e-4)))
    known = tripled(np.where(weight > 1e-3, 1 - core, 0).astype(np.float32))
    return (colour + (spread - colour) * known).astype(np.float32)


def _off_backdrop(rgb: Bytes) -> Pixels | None:
    """Cover of a figure in front of a smooth backdrop, or None when the border of the picture is not one."""
    lab = np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    height, width = lab.shape[:2]
    small = resized(lab, max(16, width // 6), max(16, height // 6))
    plain = np.zeros(small.shape[:2], bool)
    rim_x, rim_y = max(2, small.shape[1] // 14), max(2, small.shape[0] // 16)
    plain[:rim_y] = plain[:, :rim_x] = plain[:, -rim_x:] = True
    border = plain.copy()
    backdrop = small
    for limit in (9.0, 6.0, 5.0):
        if plain.sum() < 40:
            return None
        backdrop = _smooth_fit(small, plain)
        close = _difference(small, backdrop) < limit
        plain = _reaching_border(close)
    if float(plain[border].mean()) < 0.62 or not 0.08 < float(plain.mean()) < 0.93:
        return None
    full = resized(backdrop, width, height)
    rough = np.median(_difference(lab, full)[resized(border.astype(np.float32), width, height) > 0.9])
    return _fine_cover(lab, full) if rough < _ROUGHEST_BACKDROP else None


def _smooth_fit(lab: Pixels, where: np.ndarray) -> Pixels:
    """The cubic surface through the pixels `where`, one per channel."""
    height, width = where.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width * 2 - 1, y / height * 2 - 1
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    weights, *_ = np.linalg.lstsq(terms[where], lab[where], rcond=None)
    return np.asarray(terms @ weights, np.float32)


def _difference(lab: Pixels, backdrop: Pixels) -> Pixels:
    """Distance in Lab; lightness counts less, since backdrops carry soft shadows."""
    apart = lab - backdrop
    return np.asarray(
        np.sqrt(np.float32(0.55) * apart[..., 0] ** 2 + apart[..., 1] ** 2 + apart[..., 2] ** 2), np.float32
    )


def _reaching_border(close: np.ndarray) -> np.ndarray:
    """The parts of a mask that touch the left, right or upper border."""
    _, labels = cv2.connectedComponents(close.astype(np.uint8), connectivity=4)
    labels = np.asarray(labels)
    touching = np.unique(np.concatenate([labels[0], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, touching[touching > 0])


def _fine_cover(lab: Pixels, backdrop: Pixels) -> Pixels:
    apart = _difference(lab, backdrop)
    outside = _reaching_border(apart < 7) | _large_parts(apart < 2.5, 0.0004)
    near = np.asarray(cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)), bool)
    cover = np.where(near, smoothstep(4.0, 15.0, apart), np.float32(1)).astype(np.float32)
    inside = _large_parts(cover > 0.5, 0.002)
    reach = np.asarray(cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)), np.float32)
    return cover * reach


def _large_parts(mask: np.ndarray, share: float) -> np.ndarray:
    """The connected parts of a mask that fill at least `share` of the picture."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    sizes = np.asarray(stats)[:, cv2.CC_STAT_AREA]
    keep = np.flatnonzero(sizes >= share * mask.size)
    return np.isin(np.asarray(labels), keep[keep > 0])


def _by_border_model(rgb: Bytes) -> Pixels | None:
    """Cover by grabCut, taking the border for background; None when it finds all or nothing."""
    height, width = rgb.shape[:2]
    scale = _GRABCUT_SIDE / max(height, width)
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    if float(small.std(axis=(0, 1)).max()) < _LEAST_CONTRAST:
        return None
    mask = np.full(small.shape[:2], cv2.GC_PR_FGD, np.uint8)
    rim_x, rim_y = max(1, size[0] // 12), max(1, size[1] // 14)
    mask[:rim_y] = mask[:, :rim_x] = mask[:, -rim_x:] = cv2.GC_BGD
    cv2.setRNGSeed(7)  # grabCut starts with k-means
    try:
        no_box = (0, 0, 1, 1)  # only read in rectangle mode
        cv2.grabCut(small, mask, no_box, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return None
    found = _large_parts((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 0.02)
    if not 0.05 < float(found.mean()) < 0.72:
        return None
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
    rough = np.asarray(np.clip(resized(found.astype(np.float32), width, height), 0, 1), np.float32)
    return _guided(grey, rough, max(2, max(height, width) // 120))


def _guided(guide: Pixels, mask: Pixels, radius: int) -> Pixels:
    """Guided filter: lets the edge of the mask follow the edges of the picture."""
    box = (2 * radius + 1, 2 * radius + 1)

    def mean(layer: Pixels) -> Pixels:
        return np.asarray(cv2.blur(layer, box), np.float32)

    mean_guide, mean_mask = mean(guide), mean(mask)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (mean(guide * guide) - mean_guide**2 + np.float32(1e-3))
    return smoothstep(0.15, 0.85, mean(slope) * guide + mean(mean_mask - slope * mean_guide))


def _oval(rgb: Bytes) -> Cutout:
    """The whole picture, fading out in an oval."""
    height, width = rgb.shape[:2]
    if max(height, width) < 64:
        scale = 64 / max(height, width)
        width, height = max(2, round(width * scale)), max(2, round(height * scale))
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    cover = 1 - smoothstep(0.70, 1.0, np.sqrt(x * x + y * y))
    return Cutout(bytes_to_linear(rgb), cover.astype(np.float32), runs_out_below=False)
