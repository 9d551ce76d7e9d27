"""Picture bytes to pixels, for bytes that nobody has vouched for."""

import warnings
from functools import cache
from io import BytesIO

from PIL import Image
from PIL.ImageFile import ImageFile

from errors import ImageNotDecodable, ImageTooLarge
from imaging.header import Header, read_header
from imaging.wholeness import check_whole

MAX_PIXELS = 50_000_000  # 150 MB decoded; the largest picture a provider makes is 3840x3840, 15 million
MAX_SIDE = 16_384  # WebP's own limit
ORIENTATION_TAG = 0x0112
SIDEWAYS = frozenset({5, 6, 7, 8})


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE) -> ImageFile:
    """The picture (the first one of an animation), fully decoded, as stored: its EXIF orientation is not applied.

    ImageTooLarge by the header alone, before a decoder sees the bytes; ImageNotDecodable when it is not whole or not a
    PNG, JPEG or WebP picture.
    """
    header = read_header(data)
    if max(header.width, header.height) > max_side or header.width * header.height > max_pixels:
        raise ImageTooLarge(width=header.width, height=header.height, max_pixels=max_pixels, max_side=max_side)
    check_whole(data, header.format)
    _make_pillow_strict()
    try:
        return _load(data, header)
    except ImageNotDecodable:
        raise
    except (
        Exception
    ) as error:  # a decoder on hostile bytes raises anything: OSError, SyntaxError, struct.error, warnings
        raise ImageNotDecodable(format=header.format) from error


def orientation(picture: Image.Image) -> int:
    """How the picture is to be turned for people: EXIF's 1 to 8, 1 for not at all."""
    value = picture.getexif().get(ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def _load(data: bytes, header: Header) -> ImageFile:
    # One format is allowed, so that a file with two faces is not read as something else than its first bytes say.
    picture = Image.open(BytesIO(data), formats=[header.format])
    if picture.size != (header.width, header.height):
        raise ImageNotDecodable("the picture says two different sizes")
    picture.load()
    orientation(picture)  # broken EXIF shows only when it is read
    return picture


@cache
def _make_pillow_strict() -> None:
    """Pillow warns of broken pictures that it can still show somehow; we want none of them.

    Set once for the process and not round each call: filters are shared by all threads, so a `catch_warnings` in one
    thread would undo that of another.
    """
    warnings.filterwarnings("error", module=r"PIL\.")
