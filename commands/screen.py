"""Where a command writes: words for people, and with --json one JSON object a line for machines."""

import json
import sys
from typing import Any

from rich.console import Console

from commands.troubles import RequestRefused
from errors import DioramaError

# Nobody's window ends there, and lines that are cut help nobody.
WIDTH_OF_A_FILE = 160


class Screen:
    """Standard output is for people, or with `as_json` for machines alone; people then read standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = WIDTH_OF_A_FILE

    @property
    def is_live(self) -> bool:
        """Whether people look at a terminal, where lines can be drawn anew."""
        return self.console.is_terminal

    def say(self, text: str) -> None:
        """One line for people; rich markup is understood."""
        self.console.print(text)

    def record(self, kind: str, **facts: Any) -> None:
        """One JSON object for machines, with its `type`; nothing without --json."""
        if self.as_json:
            sys.stdout.write(json.dumps({"type": kind, **facts}, default=str) + "\n")
            sys.stdout.flush()

    def trouble(self, error: DioramaError, exit_code: int) -> None:
        """Say what went wrong and what to do, on standard error."""
        advice = _advice(error)
        facts = {"code": error.code, "detail": error.detail, "suggestion": advice, "exit_code": exit_code}
        self.record("error", **facts, **({"problem": error.facts["problem"]} if "problem" in error.facts else {}))
        complaints = Console(stderr=True, highlight=False, soft_wrap=True)
        complaints.print(" ".join(filter(None, [_sentence(error.detail), advice])), markup=False, style="red")


def _advice(error: DioramaError) -> str:
    if isinstance(error, RequestRefused):
        return error.advice
    own = type(error).suggestion
    return "" if own == DioramaError.suggestion else own


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
