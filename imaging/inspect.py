"""What a picture is, before anybody trusts it."""

from dataclasses import dataclass

from errors import ImageTooLarge
from imaging.decode import MAX_PIXELS, MAX_SIDE, SIDEWAYS, decode, orientation
from imaging.header import Format, read_header

CONTENT_TYPES: dict[Format, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Width and height in pixels as people see the picture, its orientation applied; the type is by content."""

    width: int
    height: int
    content_type: str
    format: Format


def inspect(data: bytes, *, max_bytes: int, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE) -> PictureFacts:
    """Proves that these bytes are one whole PNG, JPEG or WebP picture within the limits.

    ImageTooLarge for more bytes, pixels or pixels a side, before anything is decoded; ImageNotDecodable otherwise.
    """
    if len(data) > max_bytes:
        raise ImageTooLarge(size_bytes=len(data), max_bytes=max_bytes)
    picture = decode(data, max_pixels=max_pixels, max_side=max_side)
    width, height = picture.size
    if orientation(picture) in SIDEWAYS:
        width, height = height, width
    picture_format = read_header(data).format
    return PictureFacts(width, height, CONTENT_TYPES[picture_format], picture_format)
