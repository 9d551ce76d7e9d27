"""Opaque page cursors: the last id of a page, in a form that nobody is tempted to build."""

import base64
import binascii
from uuid import UUID

from errors import InvalidCursor

_VERSION = b"\x01"


def encode(last: UUID) -> str:
    """The cursor of the page after `last`."""
    return base64.urlsafe_b64encode(_VERSION + last.bytes).rstrip(b"=").decode()


def decode(cursor: str) -> UUID:
    """The id that a cursor stands for. Raises InvalidCursor for anything this API did not make."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidCursor from None
    if len(raw) != 17 or not raw.startswith(_VERSION):
        raise InvalidCursor
    return UUID(bytes=raw[1:])
