"""What a picture file says about itself in its first bytes, read without any decoder.

A decoder may reserve memory for what a header promises, so size limits are checked on these numbers before one is opened.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from errors import ImageNotDecodable

Format = Literal["PNG", "JPEG", "WEBP"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
# Start-of-frame markers: all of 0xC0..0xCF but for the Huffman table, JPEG extension and arithmetic table markers.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class Header:
    """Format by content, and the stored size in pixels."""

    format: Format
    width: int
    height: int


def read_header(data: bytes) -> Header:
    """Format and size. ImageNotDecodable unless the file begins as a PNG, JPEG or WebP picture does."""
    try:
        if data.startswith(PNG_SIGNATURE):
            return Header("PNG", *_png_size(data))
        if data.startswith(JPEG_START):
            return Header("JPEG", *_jpeg_size(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return Header("WEBP", *_webp_size(data))
    except (struct.error, IndexError) as error:
        raise ImageNotDecodable("the picture ends within its header") from error
    raise ImageNotDecodable


def _png_size(data: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", data, len(PNG_SIGNATURE))
    if (length, kind) != (13, b"IHDR"):
        raise ImageNotDecodable("the PNG does not begin with its header")
    return _checked(width, height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            raise ImageNotDecodable("the JPEG has no frame")
        marker = data[at + 1]
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return _checked(width, height)
        if marker in {0xD9, 0xDA}:  # the end, or pixels before any frame
            raise ImageNotDecodable("the JPEG has no frame")
        at += 2 if marker in JPEG_WITHOUT_LENGTH else 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":  # 24 bits each, stored less one
        wide, high = data[24:27], data[27:30]
        if len(high) < 3:
            raise ImageNotDecodable("the picture ends within its header")
        return _checked(int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1)
    if kind == b"VP8L":  # 14 bits each, stored less one
        (bits,) = struct.unpack_from("<I", data, 21)
        return _checked((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":  # 14 bits each; the upper two are a scale for display
        width, height = struct.unpack_from("<HH", data, 26)
        return _checked(width & 0x3FFF, height & 0x3FFF)
    raise ImageNotDecodable("the WebP has no picture")


def _checked(width: int, height: int) -> tuple[int, int]:
    if width == 0 or height == 0:
        raise ImageNotDecodable("the picture has no pixels")
    return width, height
