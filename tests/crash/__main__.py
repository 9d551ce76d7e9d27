"""The crash lab: `python -m tests.crash [--boundaries 0|1] [--kills N] [--pauses N] [--seed N] [--json] [--folder DIR]`.

Ends processes at every named boundary, at random moments, and pauses them, while clients use the whole stack; then audits
everything. Exit code 1 when a promise was broken or a boundary was not reached.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.crash.boundaries import all_boundaries
from tests.crash.campaign import Outcome, Plan, campaign
from tests.crash.report import figures, lines


def main() -> int:
    """0: everything is accounted for."""
    given = _arguments()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="diorama-crash-"))
    wanted = [boundary for boundary in all_boundaries() if given.only in str(boundary)]
    plan = Plan(given.seed, wanted if given.boundaries else (), given.kills, given.pauses)
    console = Console(stderr=True)
    console.print(f"seed {plan.seed}, in {folder}", highlight=False)
    outcome = uvloop.run(_run(folder, plan, console))
    for line in lines(outcome):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    whole = not outcome.breaches and not outcome.done.missed
    if given.folder is None and whole:
        shutil.rmtree(folder)
    if given.json:
        sys.stdout.write(json.dumps(figures(outcome)) + "\n")
    return 0 if whole else 1


async def _run(folder: Path, plan: Plan, console: Console) -> Outcome:
    columns = (TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def begin(phase: str, count: int) -> Callable[[int], None]:
            task = progress.add_task(phase, total=count)
            return lambda steps: progress.advance(task, steps)

        return await campaign(folder, plan, begin)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boundaries", type=int, choices=(0, 1), default=1, help="kill at every named boundary")
    parser.add_argument("--only", default="", help="of these, the ones with this text in their name")
    parser.add_argument("--kills", type=int, default=300, help="kills of random processes at random moments")
    parser.add_argument("--pauses", type=int, default=20, help="pauses past a heartbeat")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="decides all that is drawn by lot"
    )
    parser.add_argument("--folder", type=Path, help="where the stack lives, kept afterwards; default: a temporary one")
    parser.add_argument("--json", action="store_true", default=os.environ.get("JSON") == "1", help="end with JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
