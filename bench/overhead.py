"""What durability costs: Diorama beside a bare script and a minimal Temporal workflow, all in one run.

    python -m bench.overhead [--quick] [--json] [--folder DIR]

Starts a stack of its own (real servers, fsync on, sandbox providers with small pictures) and runs the phases one after
another. With --json, or JSON=1 in the environment, the last line is one JSON object. Exit code 1 when something was lost,
never because of a slow figure.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.in_flight import READS_PER_MINUTE, in_flight_phase
from bench.phases import Load, bare_phase, minimal_phase, our_phase
from bench.report import Contest, OverheadReport
from bench.running_stack import RunningStack, running_stack


@dataclass(frozen=True, slots=True)
class Plan:
    """The loads of a run."""

    fast: Load
    slow: Load
    in_flight: Load


FULL = Plan(
    fast=Load(chains=300, at_once=32, job_s=0),
    slow=Load(chains=40, at_once=8, job_s=2),
    in_flight=Load(chains=1000, at_once=32, job_s=30),
)
QUICK = Plan(
    fast=Load(chains=60, at_once=16, job_s=0),
    slow=Load(chains=8, at_once=8, job_s=2),
    in_flight=Load(chains=100, at_once=32, job_s=5),
)


async def measure(plan: Plan, folder: Path) -> OverheadReport:
    """Run all phases on a stack in `folder`."""
    async with running_stack(folder) as stack:
        fast = await _contest(stack, plan.fast)
        slow = await _contest(stack, plan.slow)
    # Started anew: the worker's memory is its own again, and it knows the provider's real read limit.
    async with running_stack(folder, reads_per_minute=READS_PER_MINUTE) as stack:
        _tell(f"{plan.in_flight.chains} chains in flight, jobs of {plan.in_flight.job_s:g} s")
        in_flight = await in_flight_phase(stack, plan.in_flight)
    return OverheadReport(fast, slow, in_flight)


async def _contest(stack: RunningStack, load: Load) -> Contest:
    _tell(f"{load.chains} chains, {load.at_once} at once, jobs of {load.job_s:g} s: bare script")
    bare = await bare_phase(stack, load)
    _tell("  minimal Temporal")
    minimal = await minimal_phase(stack, load)
    _tell("  Diorama")
    return Contest(bare, minimal, await our_phase(stack, load))


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> int:
    """0 when everything is accounted for, 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute instead of five; the figures are rougher")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument(
        "--folder", type=Path, help="where the stack lives, kept afterwards; default: a temporary folder"
    )
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="diorama-bench-"))
    report = uvloop.run(measure(QUICK if given.quick else FULL, folder))
    print(report.table())
    if report.lost:
        print(f"Logs and data stay in {folder}")
    elif given.folder is None:
        shutil.rmtree(folder)
    if given.json or os.environ.get("JSON") == "1":
        print(json.dumps(report.figures()))
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
