"""What the doctor says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One observation in words for people.

    `ok` needs nothing; a `warning` limits what works; with a `problem` the API or the worker does not work.
    Values of secrets are never in it.
    """

    level: Level
    what: str
    why: str = ""
    what_to_do: str = ""


def ok(what: str, why: str = "") -> Finding:
    """All is well here."""
    return Finding("ok", what, why)


def warning(what: str, why: str, what_to_do: str) -> Finding:
    """Something is limited."""
    return Finding("warning", what, why, what_to_do)


def problem(what: str, why: str, what_to_do: str) -> Finding:
    """Something does not work."""
    return Finding("problem", what, why, what_to_do)
