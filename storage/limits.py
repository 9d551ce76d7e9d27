"""What keys, metadata and tags may look like, so that every S3 store takes them and gives them back unchanged."""

import re
from collections.abc import Mapping
from datetime import timedelta

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255  # gateways over a file system make a file name of each part of a key
MAX_METADATA_BYTES = 2048
MAX_TAGS = 10
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256
MAX_EXPIRY = timedelta(days=7)  # a limit of S3 signatures

_METADATA_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_METADATA_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_TAG = re.compile(r"[A-Za-z0-9 +\-=._:/@]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


def check_key(key: str) -> None:
    """ValueError unless the key is 1 to 1024 bytes of plain path: no empty, `.` or `..` parts, no control characters."""
    parts = key.split("/")
    if not key or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"not an object key: {key!r}")
    if any(ord(character) < 32 or ord(character) == 127 or character == "\\" for character in key):
        raise ValueError(f"an object key holds no control characters and no backslash: {key!r}")
    if len(key.encode()) > MAX_KEY_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in parts):
        raise ValueError(
            f"an object key is at most {MAX_KEY_BYTES} bytes, {MAX_SEGMENT_BYTES} between slashes: {key!r}"
        )


def check_sha256(sha256: str) -> None:
    """ValueError unless this is 64 lower-case hex digits."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a sha256 in lower-case hex: {sha256!r}")


def check_content_type(content_type: str) -> None:
    """ValueError unless this is a bare media type such as `image/png`."""
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise ValueError(f"not a media type: {content_type!r}")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """ValueError unless these are lower-case words and ASCII values of at most 2 KiB together; `sha256` is the store's own.

    Text in other scripts is refused and not encoded: metadata are facts for machines, and people read them with any
    S3 tool, which would show the encoding.
    """
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name) or name == "sha256":
            raise ValueError(f"not a metadata name: {name!r}")
        if not _METADATA_VALUE.fullmatch(value):
            raise ValueError(f"metadata {name!r} must be printable ASCII without spaces at its ends: {value!r}")
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata are at most {MAX_METADATA_BYTES} bytes together")


def check_tags(tags: Mapping[str, str]) -> None:
    """ValueError unless there are at most 10 tags of the letters that S3 allows."""
    if len(tags) > MAX_TAGS:
        raise ValueError(f"an object has at most {MAX_TAGS} tags, not {len(tags)}")
    for name, value in tags.items():
        if not _TAG.fullmatch(name) or len(name) > MAX_TAG_KEY:
            raise ValueError(f"not a tag name: {name!r}")
        if not _TAG.fullmatch(value) or len(value) > MAX_TAG_VALUE:
            raise ValueError(f"not a value of tag {name!r}: {value!r}")


def check_range(start: int, length: int | None) -> None:
    """ValueError when a range starts before the object or has a negative length (bytes)."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"not a range: start {start}, length {length}")


def check_expiry(expires: timedelta) -> None:
    """ValueError unless a URL is to last 1 second to 7 days."""
    if not timedelta(seconds=1) <= expires <= MAX_EXPIRY:
        raise ValueError(f"a URL lasts 1 second to 7 days, not {expires}")
