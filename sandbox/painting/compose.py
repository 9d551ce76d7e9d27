"""Standing a figure in a scene: place, shadow, light wrap, what lies in front."""

import numpy as np

from sandbox.painting.colour import Pixels
from sandbox.painting.figure import Cutout
from sandbox.painting.raster import blurred, darken, lay, resized, shifted, tripled
from sandbox.painting.relight import relit
from sandbox.painting.stage import Scene, Stage

_WHOLE_FIGURE_CUT = 0.20  # share of a whole figure, feet and all, that lies below the lower edge
_HEADROOM = 0.11  # fraction of the height that stays free above the head


def compose(stage: Stage, scene: Scene, figure: Cutout | None) -> Pixels:
    """The finished scene in linear light. `scene.picture` is used up."""
    picture = scene.picture
    if figure is not None:
        _stand(picture, stage, scene, figure)
    if scene.front is not None:
        picture *= tripled(1 - scene.front.cover)
        picture += scene.front.paint
    return picture


def figure_size(stage: Stage, figure: Cutout) -> tuple[int, int]:
    """Width and height in pixels at which a figure stands in the frame."""
    height, width = figure.cover.shape
    aspect = stage.width / stage.height
    visible = min(0.735, 0.48 + 0.165 * aspect) * stage.height
    tall = visible if figure.runs_out_below else visible / (1 - _WHOLE_FIGURE_CUT)
    widest = (0.88 if aspect < 1 else 0.80 - 0.14 * min(aspect, 2.0)) * stage.width
    scale = min(tall / height, widest / width)
    return max(2, round(width * scale)), max(2, round(height * scale))


def _placed(stage: Stage, figure: Cutout) -> tuple[Cutout, int, int]:
    """The figure at its size, and the column and row of its upper left corner."""
    width, height = figure_size(stage, figure)
    both = np.concatenate([figure.colour * tripled(figure.cover), figure.cover[..., None]], axis=2)
    scaled = np.clip(resized(both, width, height), 0, None)
    cover = np.minimum(scaled[..., 3], 1)
    colour = scaled[..., :3] / np.maximum(cover, np.float32(1e-3))[..., None]
    below = 0.0 if figure.runs_out_below else height * _WHOLE_FIGURE_CUT
    top = max(round(stage.height - height + below), round(stage.height * _HEADROOM))
    left = round(stage.figure_x * stage.width - width / 2)
    return Cutout(colour.astype(np.float32), np.ascontiguousarray(cover), figure.runs_out_below), left, top


def _stand(picture: Pixels, stage: Stage, scene: Scene, figure: Cutout) -> None:
    placed, left, top = _placed(stage, figure)
    light = scene.light
    colour = relit(placed, light)
    height, width = placed.cover.shape
    rows = slice(max(0, top), min(stage.height, top + height))
    columns = slice(max(0, left), min(stage.width, left + width))
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    cover = np.zeros((stage.height, stage.width), np.float32)
    cover[rows, columns] = placed.cover[inside]
    _cast_shadow(picture, stage, cover, light.towards)
    paint = np.zeros_like(picture)
    paint[rows, columns] = colour[inside]
    lay(picture, light_wrap(paint, cover, picture, 3 * stage.unit), cover)


def light_wrap(paint: Pixels, cover: Pixels, behind: Pixels, reach: float) -> Pixels:
    """The figure's colours, with a breath of what lies behind on its outermost edge (`reach` in pixels)."""
    edge = np.clip(cover - blurred(cover, reach), 0, 1) * np.float32(0.8)
    return paint + (blurred(behind, reach * 4) - paint) * tripled(edge)


def _cast_shadow(picture: Pixels, stage: Stage, cover: Pixels, towards: tuple[float, float]) -> None:
    """A soft shadow away from the light, and the dark of the ground where the figure leaves the frame."""
    small = stage.reduced(4)
    shape = resized(cover, small.width, small.height)
    unit = small.unit
    far = blurred(shifted(shape, -towards[0] * 46 * unit, 18 * unit), 30 * unit)
    near = blurred(shifted(shape, -towards[0] * 10 * unit, 4 * unit), 8 * unit)
    level = small.rows() / np.float32(small.height)
    low, floor = np.clip((level - 0.72) / 0.28, 0, 1), np.clip((level - 0.50) / 0.30, 0, 1)  # no shadow falls on a sky
    ground = blurred(shape, 70 * unit) * low
    darken(
        picture, np.clip((0.40 * far + 0.12 * near) * floor + 0.07 * near + 0.45 * ground, 0, 0.8).astype(np.float32)
    )
