"""Every named boundary at which a process can be ended, derived from the source, so that none is forgotten.

A boundary is the moment right before or right after an effect: a commit, an object written or deleted, a job bought or
canceled, a workflow started or canceled.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).parents[2]
# Commands are run by people, who see what became of them; the rest of what is not named here changes nothing.
WORKED_BY: Final = {"activities": "worker", "api": "api"}
NAMING_CALLS: Final = frozenset({"transaction", "statement"})
REACHING_CALLS: Final = frozenset({"reach", "_reach"})
STORED_FROM: Final = ("api", "worker")
BOUGHT_AT: Final = ("replicate", "openai")
NEVER_REACHED: Final = {"openai.cancel": "a synchronous purchase has no job that could be canceled"}

Moment = Literal["before", "after"]
MOMENTS: Final[tuple[Moment, ...]] = ("before", "after")


class NotWrittenDown(Exception):
    """A transaction's name is not a literal, so that nobody could find its boundary."""


@dataclass(frozen=True, slots=True, order=True)
class Boundary:
    """A moment in one of the processes; `effect` is what happens there, for example `purchase.sent`."""

    process: str
    effect: str
    moment: Moment

    def __str__(self) -> str:
        """As the fault points call it: `worker,purchase.sent:before`."""
        return f"{self.process},{self.effect}:{self.moment}"

    @property
    def place(self) -> str:
        """Without the moment: `worker,purchase.sent`."""
        return f"{self.process},{self.effect}"


def all_boundaries(root: Path = ROOT) -> tuple[Boundary, ...]:
    """All boundaries of the project in `root`, in a fixed order."""
    places = {*_committed(root), *_started(root), *_stored(root), *_bought(root)}
    return tuple(Boundary(process, effect, moment) for process, effect in sorted(places) for moment in MOMENTS)


def _committed(root: Path) -> Iterator[tuple[str, str]]:
    for package, process in WORKED_BY.items():
        for path in sorted((root / package).rglob("*.py")):
            yield from ((process, name) for name in transaction_names(path) if name)


def transaction_names(path: Path) -> Iterator[str]:
    """The name of each transaction and statement that is opened in a file; empty for one without.

    Raises NotWrittenDown.
    """
    for call in _calls(path, NAMING_CALLS):
        if not call.args:
            yield ""
            continue
        name = call.args[0]
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            raise NotWrittenDown(f"{path}:{call.lineno}: the name of a transaction must be written down literally")
        yield name.value


def _started(root: Path) -> Iterator[tuple[str, str]]:
    for package, process in WORKED_BY.items():
        for path in sorted((root / package).rglob("*.py")):
            yield from ((process, effect) for effect in _reached(path))


def _stored(root: Path) -> Iterator[tuple[str, str]]:
    effects = [*_reached(root / "storage" / "with_fault_points.py")]
    return ((process, effect) for process in STORED_FROM for effect in effects)


def _bought(root: Path) -> Iterator[tuple[str, str]]:
    for effect in _reached(root / "providers" / "with_fault_points.py"):
        for provider in BOUGHT_AT:
            named = provider + effect
            if named not in NEVER_REACHED:
                yield "worker", named


def _reached(path: Path) -> Iterator[str]:
    """The effects of `reach("EFFECT:before")`; of `reach(f"{name}.EFFECT:before")` what follows the braces."""
    for call in _calls(path, REACHING_CALLS):
        point = call.args[0]
        if isinstance(point, ast.JoinedStr):
            point = point.values[-1]
        if isinstance(point, ast.Constant) and isinstance(point.value, str):
            yield point.value.rpartition(":")[0]


def _calls(path: Path, names: frozenset[str]) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node
