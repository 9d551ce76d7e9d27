"""Copies of the product's source, with a bug planted in them."""

import shutil
from pathlib import Path

from tests.crash.boundaries import ROOT
from tests.crash.mutations import Mutation

NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "out", "*.lock")


def copied_tree(to: Path, mutation: Mutation | None) -> Path:
    """A copy in `to`, changed as the mutation says. Raises ValueError: it does not fit there."""
    shutil.copytree(ROOT, to, ignore=NOT_COPIED)
    if mutation is not None:
        path = to / mutation.file
        path.write_text(mutation.applied(path.read_text("utf-8")), "utf-8")
    return to
