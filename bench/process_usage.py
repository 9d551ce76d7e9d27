"""What processes used of the machine: CPU seconds and peak resident memory, children included."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from background import in_background

SAMPLE_EVERY_S = 1.0
MIB = 2**20
CALLER = "caller"


@dataclass(slots=True)
class Usage:
    """One service's share between two moments. Resident memory of forked servers counts shared pages once per process."""

    cpu_s: float = 0.0
    peak_rss_mib: float = 0.0


@asynccontextmanager
async def measured(roots: Mapping[str, int]) -> AsyncIterator[dict[str, Usage]]:
    """Measure the processes (`name -> pid`) and their descendants while the block runs; the result is whole after it.

    This process itself, without its descendants, is `caller`; its CPU alone. Raises psutil.NoSuchProcess when one of the
    others does not run any more.
    """
    own = _own_cpu_s()
    processes = {name: psutil.Process(pid) for name, pid in roots.items()}
    usage = {name: Usage() for name in roots}
    begun = {name: _cpu_s(family) for name, family in _families(processes).items()}
    async with in_background(_sample(processes, usage), name="process-usage"):
        yield usage
    for name, family in _families(processes).items():
        usage[name].cpu_s = _cpu_s(family) - begun[name]
    usage[CALLER] = Usage(cpu_s=_own_cpu_s() - own)


async def _sample(processes: Mapping[str, psutil.Process], usage: Mapping[str, Usage]) -> None:
    while True:
        families = _families(processes)
        for name, family in families.items():
            usage[name].peak_rss_mib = max(usage[name].peak_rss_mib, _rss_mib(family))
        await asyncio.sleep(SAMPLE_EVERY_S)


def _families(processes: Mapping[str, psutil.Process]) -> dict[str, list[psutil.Process]]:
    """Each process with its descendants, from one look at the process table: a look at each would cost what is measured."""
    children: dict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        children[process.info["ppid"]].append(process)
    families = {name: [process] for name, process in processes.items()}
    for family in families.values():
        for member in family:  # grows while it is read, down to the last descendant
            family.extend(children[member.pid])
    return families


def _cpu_s(family: Iterable[psutil.Process]) -> float:
    """User and system time of the living, and of the children that have ended and were waited for."""
    total = 0.0
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now: its parent has its time
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _rss_mib(family: Iterable[psutil.Process]) -> float:
    total = 0
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total / MIB


def _own_cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system
