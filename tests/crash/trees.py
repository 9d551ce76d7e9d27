"""Copies of the product's source, changed in some places."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.boundaries import ROOT

NOT_COPIED = shutil.ignore_patterns(".*", "tests", "docs", "out", "*.lock")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the source: `new` takes the place of `old` in a file, given from the root of the tree."""

    file: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        """The source with the change in it. Raises ValueError: the text to replace is not there exactly once."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.file} has {source.count(self.old)} places for: {self.old}")
        return source.replace(self.old, self.new)


def copied_tree(to: Path, changes: Iterable[Change] = (), *, of: Path = ROOT) -> Path:
    """A copy in `to`, changed, with what is compiled of it. Raises ValueError: a change does not fit there."""
    shutil.copytree(of, to, ignore=NOT_COPIED)
    for change in changes:
        path = to / change.file
        path.write_text(change.applied(path.read_text("utf-8")), "utf-8")
    return to
