"""Finished pictures as PNG, WebP or JPEG bytes, each saying inside what it is."""

import re
import struct
import zlib
from dataclasses import dataclass
from xml.sax.saxutils import escape, unescape

import cv2
import numpy as np
from PIL import Image

from sandbox.painting.brief import OutputFormat
from sandbox.painting.colour import Bytes

SOFTWARE = "Diorama sandbox"
DESCRIPTION = "Sandbox picture: drawn by rules, no AI model was used"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"

_EXIF_DESCRIPTION, _EXIF_SOFTWARE, _EXIF_COPYRIGHT = 0x010E, 0x0131, 0x8298
_OWN_CREDIT = re.compile(rb'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">([^<]{1,600})</rdf:li>')
_PNG_HEADER_BYTES = 33  # signature (8) and IHDR chunk (25)
_OPTIONS = {
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    "jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
}


@dataclass(frozen=True)
class Note:
    """What the metadata of one picture says; `credit` is due where a drawing style asks for attribution."""

    seed: str
    subject: str
    credit: str = ""


def encode_pixels(picture: Bytes, output_format: OutputFormat) -> bytes:
    """An RGB picture as a plain file without metadata."""
    extension = ".jpg" if output_format == "jpeg" else f".{output_format}"
    bgr = np.ascontiguousarray(picture[..., ::-1])
    done, data = cv2.imencode(extension, bgr, _OPTIONS[output_format])
    if not done:
        raise RuntimeError(f"this build of OpenCV cannot write {output_format}")
    return bytes(data.tobytes())


def with_note(data: bytes, output_format: OutputFormat, note: Note, size: tuple[int, int]) -> bytes:
    """The same file with the note written into it, without touching its pixels; `size` is (width, height)."""
    if output_format == "png":
        return _note_png(data, note)
    if output_format == "jpeg":
        return _note_jpeg(data, note)
    return _note_webp(data, note, size)


def credit_in(data: bytes) -> str:
    """The credit that one of our own pictures carries; empty for any other file. It stays due when the figure is reused."""
    found = _OWN_CREDIT.search(data) if SOFTWARE.encode() in data else None
    return unescape(found.group(1).decode("utf-8", "replace")) if found else ""


def _xmp(note: Note) -> bytes:
    credit = escape(note.credit)
    rights = (
        f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{credit}</rdf:li></rdf:Alt></dc:rights>' if credit else ""
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<xmp:CreatorTool>{SOFTWARE}</xmp:CreatorTool>"
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{DESCRIPTION}</rdf:li></rdf:Alt></dc:description>'
        f"<dc:identifier>{escape(note.subject)}/{escape(note.seed)}</dc:identifier>{rights}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode("utf-8", "replace")


def _exif(note: Note) -> bytes:
    exif = Image.Exif()
    exif[_EXIF_DESCRIPTION] = DESCRIPTION
    exif[_EXIF_SOFTWARE] = SOFTWARE
    if note.credit:
        exif[_EXIF_COPYRIGHT] = note.credit.encode("ascii", "replace").decode("ascii")
    return exif.tobytes()


def _note_png(data: bytes, note: Note) -> bytes:
    texts = [
        ("Software", SOFTWARE),
        ("Description", DESCRIPTION),
        ("DigitalSourceType", SOURCE_TYPE),
        ("Seed", note.seed),
    ]
    if note.credit:
        texts.append(("Copyright", note.credit))
    chunks = [_text_chunk(key, text.encode("utf-8", "replace")) for key, text in texts]
    chunks.append(_text_chunk("XML:com.adobe.xmp", _xmp(note)))
    chunks.append(_png_chunk(b"eXIf", _exif(note).removeprefix(b"Exif\0\0")))
    return b"".join([data[:_PNG_HEADER_BYTES], *chunks, data[_PNG_HEADER_BYTES:]])


def _text_chunk(key: str, text: bytes) -> bytes:
    # iTXt: keyword, not compressed, no language, no translated keyword, UTF-8 text
    return _png_chunk(b"iTXt", key.encode("ascii") + b"\0\0\0\0\0" + text.replace(b"\0", b" "))


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _note_jpeg(data: bytes, note: Note) -> bytes:
    bodies = (_exif(note), b"http://ns.adobe.com/xap/1.0/\0" + _xmp(note))
    segments = [b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies]
    return b"".join([data[:2], *segments, data[2:]])


def _note_webp(data: bytes, note: Note, size: tuple[int, int]) -> bytes:
    """Wrap a simple WebP file into the extended form, which may carry EXIF and XMP."""
    width, height = size
    has_exif_and_xmp = 0x08 | 0x04
    canvas = struct.pack("<I", has_exif_and_xmp) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    simple = data[12:]
    if simple[:4] == b"VP8X":
        simple = simple[18:]
    extra = _riff_chunk(b"EXIF", _exif(note).removeprefix(b"Exif\0\0")) + _riff_chunk(b"XMP ", _xmp(note))
    body = b"WEBP" + _riff_chunk(b"VP8X", canvas) + simple + extra
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
