"""Conditional and partial reads (RFC 9110): entity tags and one byte range."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class RangeNotSatisfiable(Exception):
    """The range lies behind the end of the object."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from `start`, of an object of `total` bytes."""

    start: int
    length: int
    total: int

    @property
    def content_range(self) -> str:
        """The value of the Content-Range header."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.total}"


def etag_matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names this entity tag (weak comparison) or any (`*`)."""
    names = {name.strip().removeprefix("W/") for name in header.split(",")}
    return "*" in names or etag in names


def parse_range(header: str, total: int) -> ByteRange | None:
    """The one range a client asks for; None for what may be ignored (several ranges, other units, nonsense).

    Raises RangeNotSatisfiable when the range starts behind the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(total - int(last), 0), total - 1
        if int(last) == 0:
            raise RangeNotSatisfiable
    else:
        start, end = int(first), min(int(last), total - 1) if last else total - 1
        if last and int(last) < start:
            return None
    if start >= total:
        raise RangeNotSatisfiable
    return ByteRange(start=start, length=end - start + 1, total=total)
