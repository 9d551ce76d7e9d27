"""Pixels to the bytes of a file, with what the picture says about its origin."""

from io import BytesIO
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from contracts.wishes import OutputFormat
from imaging.header import PNG_SIGNATURE, Format
from imaging.provenance import COLOURED, EXIF_PREFIX, png_chunks

FORMATS: Final[dict[Format, OutputFormat]] = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}
IHDR_END = len(PNG_SIGNATURE) + 25  # length, name, 13 bytes, checksum
# The picture was compressed once already, or never: no second loss that an eye could find, at a fifth of PNG's size.
JPEG_QUALITY, WEBP_QUALITY = 95, 92
BEHIND_GLASS = (255, 255, 255)  # JPEG has no transparency: what shone through becomes white


def encode(pixels: Image.Image, output_format: OutputFormat, source: Image.Image, upright: Image.Image) -> bytes:
    """`pixels` (RGB or RGBA) as a file. Texts, EXIF and colour profile are those of `upright`, which is `source` turned."""
    if output_format == "png":
        return _png(pixels, png_chunks(source, upright))
    told = _provenance(source, upright)
    out = BytesIO()
    if output_format == "jpeg":
        _opaque(pixels).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, **told)
    else:
        pixels.save(out, "WEBP", quality=WEBP_QUALITY, **told)
    return out.getvalue()


def _provenance(source: Image.Image, upright: Image.Image) -> dict[str, Any]:
    told = {name: upright.info[name] for name in ("exif", "xmp") if upright.info.get(name)}
    if "exif" in told:  # WebP holds it without, JPEG needs it
        told["exif"] = EXIF_PREFIX + told["exif"].removeprefix(EXIF_PREFIX)
    profile = source.info.get("icc_profile")
    if profile and source.mode in COLOURED:  # we write RGB: one for grey or CMYK would be wrong
        told["icc_profile"] = profile
    return told


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGB", picture.size, BEHIND_GLASS)
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _png(picture: Image.Image, chunks: bytes) -> bytes:
    """OpenCV's encoder at its default: for 1920x1080 35 to 75 ms of CPU, 0.65 to 2.6 MB.

    Pillow on the same two pictures: level 1 62 to 162 ms and 0.78 to 2.9 MB; level 6 175 to 880 ms and 0.64 to 2.5 MB.
    """
    to_bgr = cv2.COLOR_RGBA2BGRA if picture.mode == "RGBA" else cv2.COLOR_RGB2BGR
    _, encoded = cv2.imencode(".png", cv2.cvtColor(np.asarray(picture), to_bgr))
    body = encoded.tobytes()
    return body[:IHDR_END] + chunks + body[IHDR_END:]
