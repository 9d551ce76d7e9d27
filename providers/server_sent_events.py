"""Server-sent events of a provider, taken apart as their bytes come."""

from collections.abc import Iterator

_END = b"\n\n"


class EventTooLarge(Exception):
    """One event has more bytes than we are ready to hold."""


class EventReader:
    """Gives the data of each event as soon as its last byte is there; holds no more than one event of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data (its lines joined) of the events that end in this chunk. Raises EventTooLarge."""
        self._held += chunk.replace(b"\r", b"")  # a line may end as \r\n; base64 and JSON hold no bare \r
        while (end := self._held.find(_END, self._searched)) >= 0:
            event = bytes(self._held[:end])
            del self._held[: end + len(_END)]
            self._searched = 0
            data = _data_of(event)
            if data:
                yield data
        if len(self._held) > self._max_bytes:
            raise EventTooLarge
        self._searched = max(0, len(self._held) - 1)  # half of the end may be here already


def _data_of(event: bytes) -> bytes:
    lines = (line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
    return b"\n".join(line.removeprefix(b" ") for line in lines)
