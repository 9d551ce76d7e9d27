"""What the lab did to the stack, and when: the other half of every timeline."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from db.columns import now


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that the lab did or saw: a kill, a pause, a restart."""

    at: datetime
    what: str


class LabJournal:
    """All deeds of a run, in order; also in a file, for those who watch."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._deeds: list[Deed] = []

    def note(self, what: str) -> None:
        """Write down what happened just now."""
        deed = Deed(now(), what)
        self._deeds.append(deed)
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(f"{deed.at:%H:%M:%S.%f} {deed.what}\n")

    def between(self, begin: datetime, end: datetime) -> Iterator[Deed]:
        """The deeds of that time."""
        return (deed for deed in self._deeds if begin <= deed.at <= end)
