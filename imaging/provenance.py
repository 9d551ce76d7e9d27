"""What a picture says about its origin, carried over when its pixels are written anew.

Text, XMP, EXIF and the colour profile survive. A C2PA manifest (PNG `caBX`, JPEG APP11, WebP `C2PA`) does not: it is signed
over the very bytes of the file, so a copy beside other pixels would be a false statement. The unchanged original is what
carries it; what XMP says of the origin (`Iptc4xmpExt:DigitalSourceType`, a link to a remote manifest) is kept.
"""

import zlib
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo, putchunk

XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_EXIF_KEYWORD = "Raw profile type exif"  # how ImageMagick writes EXIF
EXIF_PREFIX = b"Exif\x00\x00"
COLOURED = frozenset({"RGB", "RGBA", "P", "PA"})


def png_chunks(source: Image.Image, upright: Image.Image) -> bytes:
    """Chunks to stand behind a PNG's IHDR. `upright` is `source` after its orientation was applied to pixels and tags."""
    chunks = BytesIO()
    profile = source.info.get("icc_profile")
    if profile and source.mode in COLOURED:  # we write RGB, so a profile for grey or CMYK would be wrong
        putchunk(chunks, b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(profile))
    exif = upright.info.get("exif")
    if exif:
        putchunk(chunks, b"eXIf", exif.removeprefix(EXIF_PREFIX))
    for kind, content, *_ in _texts(source, upright).chunks:
        putchunk(chunks, kind, content)
    return chunks.getvalue()


def _texts(source: Image.Image, upright: Image.Image) -> PngInfo:
    info = PngInfo()
    if isinstance(source, PngImageFile):
        for keyword, text in source.text.items():
            if keyword == RAW_EXIF_KEYWORD:  # it may hold the orientation
                info.add_text(keyword, upright.info[keyword])
            elif keyword != XMP_KEYWORD:
                info.add_text(keyword, text)
    comment = source.info.get("comment")
    if isinstance(comment, bytes):  # JPEG
        info.add_text("Comment", comment.decode("latin-1"))
    xmp = upright.info.get("xmp")
    if xmp:
        info.add_itxt(XMP_KEYWORD, xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp)
    return info
