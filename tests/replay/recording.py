"""How a history is recorded and where it is kept. Identities and stack traces are taken out: they name machines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from tests.temporal_servers import time_skipping_server

HISTORIES = Path(__file__).parent / "histories"
# What the client library notes of itself stays: a patch replays by the flags in it.
UNWANTED = {"identity", "stackTrace", "workerVersion"}

Handle = WorkflowHandle[Any, Any]
# Runs a workflow to its end, on workers of its own.
Outcome = Callable[[Client], Awaitable[Handle]]


def recordings(label: str) -> list[Path]:
    """All histories that were ever recorded of an outcome, oldest first: LABEL.json, LABEL@2.json and so on."""
    files = [HISTORIES / f"{label}.json", *(HISTORIES / f"{label}@{number}.json" for number in range(2, 100))]
    return [file for file in files if file.is_file()]


def label_of(file: Path) -> str:
    """The outcome that a history is of."""
    return file.stem.partition("@")[0]


async def record(label: str, run: Outcome) -> Path:
    """Add a history of this outcome to those that are kept; none is ever replaced."""
    taken = len(recordings(label))
    file = HISTORIES / (f"{label}@{taken + 1}.json" if taken else f"{label}.json")
    # A server for each, because some workflows are started once for ever.
    async with time_skipping_server() as environment:
        handle = await run(environment.client)
        history = json.loads((await handle.fetch_history()).to_json())
    text = json.dumps(without(UNWANTED, history), indent=1)
    await asyncio.to_thread(file.write_text, text + "\n", "utf-8")
    return file


def without(unwanted: set[str], value: Any) -> Any:
    """The same JSON without these fields, however deep they are."""
    if isinstance(value, dict):
        return {name: without(unwanted, inner) for name, inner in value.items() if name not in unwanted}
    return [without(unwanted, inner) for inner in value] if isinstance(value, list) else value
