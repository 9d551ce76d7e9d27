"""Which part of a picture fills a frame of another shape."""

from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cover:
    """The largest centred part with the frame's shape, in pixels of the source; `scale` is how much it is enlarged."""

    box: tuple[float, float, float, float]  # left, top, right, bottom
    scale: float

    @property
    def is_pure_crop(self) -> bool:
        """True when pixels are only left out, none computed."""
        return self.scale == 1


def cover(source: Size, frame: Size) -> Cover:
    """The part of `source` (width, height) that fills `frame` without bars. ValueError unless all sides are positive."""
    if min(*source, *frame) < 1:
        raise ValueError(f"sizes must be positive: {source}, {frame}")
    (width, height), (frame_width, frame_height) = source, frame
    if frame_width * height >= frame_height * width:  # the frame is wider: all of the width is used
        part_width, part_height, scale = float(width), frame_height * width / frame_width, frame_width / width
    else:
        part_width, part_height, scale = frame_width * height / frame_height, float(height), frame_height / height
    left, top = (width - part_width) / 2, (height - part_height) / 2
    if scale == 1:  # whole pixels: half a pixel off the centre is better than a blurred picture
        left, top = float(left // 1), float(top // 1)
    return Cover((left, top, min(left + part_width, width), min(top + part_height, height)), scale)
