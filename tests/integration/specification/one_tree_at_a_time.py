"""Loaded into Schemathesis: only one of its threads at a time parses Python.

Python 3.11 counts the depth of a syntax tree once for all threads, and two that parse at once disturb each other
("AST constructor recursion depth mismatch"). Hypothesis parses the source of lambdas to describe them.
"""

import ast
import functools
import threading
from collections.abc import Callable
from typing import Any


def _one_at_a_time(parse: Callable[..., Any]) -> Callable[..., Any]:
    lock = threading.Lock()

    @functools.wraps(parse)
    def parse_alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return parse(*arguments, **options)

    return parse_alone


ast.parse = _one_at_a_time(ast.parse)
