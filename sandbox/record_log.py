"""The sandbox's memory: an append-only file of JSON records, replayed at start."""

import os
from collections.abc import Callable
from pathlib import Path

from sandbox.json_text import Json, decode, encode

Apply = Callable[[Json], object]


class RecordLog:
    """One write per record and no fsync: state outlives the process (kill -9), not the machine.

    The parts of the sandbox subscribe to the kinds of records that they wrote; `replay` hands them back in order.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._appliers: dict[str, Apply] = {}
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def subscribe(self, kind: str, apply: Apply) -> None:
        """Give the records of this kind to `apply` when the file is replayed."""
        self._appliers[kind] = apply

    def append(self, kind: str, record: Json) -> None:
        """Write one record. The dict itself is not changed."""
        os.write(self._file, encode({"kind": kind, **record}) + b"\n")

    def replay(self) -> int:
        """Hand every stored record to its subscriber; returns how many there were.

        A last line that a killed process left unfinished is cut off, so that the next record starts a line of its own.
        """
        count = good_bytes = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                good_bytes += len(line)
                record = decode(line)
                if apply := self._appliers.get(record.pop("kind", "")):
                    apply(record)
                count += 1
        os.ftruncate(self._file, good_bytes)
        return count

    def erase(self) -> None:
        """Forget everything."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
