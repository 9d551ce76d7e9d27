"""What kind of picture some bytes are, by their first bytes: what a provider says of them may be wrong."""

from typing import Final

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_PNG_BEGINS, _PNG_ENDS = b"\x00\x00\x00\rIHDR", b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_ENDS = b"\xff\xd9"


def content_type_of(body: bytes) -> str:
    """The content type; what is unknown stays unknown (application/octet-stream) until it is decoded."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    signatures = {_PNG: "image/png", _JPEG: "image/jpeg"}
    return next(
        (kind for signature, kind in signatures.items() if body.startswith(signature)), "application/octet-stream"
    )


def is_damaged(body: bytes) -> bool:
    """True for a picture that lacks what its format begins or ends with. Of other bytes it cannot be said."""
    kind = content_type_of(body)
    if kind == "image/png":
        return not (body.startswith(_PNG_BEGINS, len(_PNG)) and body.endswith(_PNG_ENDS))
    if kind == "image/jpeg":
        return not body.rstrip(b"\x00").endswith(_JPEG_ENDS)
    return kind == "image/webp" and len(body) < 8 + int.from_bytes(body[4:8], "little")
