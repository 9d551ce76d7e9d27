"""Whether a picture file is all there, from its container: what decoders overlook because they have enough pixels by then."""

import struct
import zlib

from errors import ImageNotDecodable
from imaging.header import PNG_SIGNATURE, Format

_CUT = "the picture is cut off"


def check_whole(data: bytes, picture_format: Format) -> None:
    """ImageNotDecodable when the file ends early, or when a PNG's checksums are wrong. Bytes after the end are left alone."""
    try:
        if picture_format == "PNG":
            _check_png(data)
        elif picture_format == "JPEG":
            _check_jpeg(data)
        else:
            _check_webp(data)
    except (struct.error, IndexError) as error:
        raise ImageNotDecodable(_CUT) from error


def _check_png(data: bytes) -> None:
    view, at, kind = memoryview(data), len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != checksum:
            raise ImageNotDecodable("the picture is damaged", chunk=kind.decode("latin-1"))
        at += 12 + length


def _check_jpeg(data: bytes) -> None:
    at = 2
    while data[at + 1] != 0xDA:  # to the first scan; the header was read, so markers and lengths are in place
        at += 1 if data[at + 1] == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    if data.find(b"\xff\xd9", at) < 0:  # pixels cannot hold an end marker: their 0xFF bytes are stuffed
        raise ImageNotDecodable(_CUT)


def _check_webp(data: bytes) -> None:
    (length,) = struct.unpack_from("<I", data, 4)
    if 8 + length > len(data):
        raise ImageNotDecodable(_CUT)
