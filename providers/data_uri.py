"""Pictures inside URLs: `data:image/png;base64,...`."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from errors import OutputCorrupt


def encoded_length(size_bytes: int, content_type: str) -> int:
    """How many characters `encode` gives for so many bytes."""
    return len(f"data:{content_type};base64,") + 4 * -(-size_bytes // 3)


def encode(body: bytes, content_type: str) -> str:
    """The bytes as a data URI."""
    return f"data:{content_type};base64,{base64.b64encode(body).decode('ascii')}"


def decode(uri: str, *, max_bytes: int) -> bytes:
    """The bytes of a data URI. Raises OutputCorrupt when it is none, is empty or holds more than `max_bytes`."""
    header, comma, payload = uri.partition(",")
    if not comma or not header.lower().startswith("data:"):
        raise OutputCorrupt("The provider delivered a broken data URI.")
    if len(payload) > 3 * max_bytes + 4:  # percent-encoding takes three characters a byte, base64 less
        raise OutputCorrupt("The provider's picture is larger than we accept.", max_bytes=max_bytes)
    try:
        is_base64 = header.lower().endswith(";base64")
        body = base64.b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
    except (binascii.Error, ValueError):
        raise OutputCorrupt("The provider delivered a broken data URI.") from None
    if not body or len(body) > max_bytes:
        raise OutputCorrupt("The provider's picture is empty or larger than we accept.", max_bytes=max_bytes)
    return body
