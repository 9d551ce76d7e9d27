"""Finds and ends the processes of one stack, whoever their parent is by now.

Every process of a stack carries its folder in the environment, and children inherit it: this reaches grandchildren
that were orphaned, and those that left their process group. PostgreSQL's backends and JuiceFS overwrite their
environment with a title; they are known by name and working folder.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

ROOT_MARK = "LOCAL_STACK_ROOT"
OVERWRITE_ENVIRONMENT = frozenset({"postgres", "juicefs"})
# A fast shutdown writes a checkpoint; 64 MB of buffers take well under a second on a slow disk.
DATABASE_GRACE_S = 5.0
KILL_WAIT_S = 5.0
GONE = (psutil.NoSuchProcess, psutil.AccessDenied)


def processes_of(root: Path) -> list[psutil.Process]:
    """Every living process that belongs to the stack in `root`."""
    return [process for process in psutil.process_iter() if _belongs(process, str(root))]


def _belongs(process: psutil.Process, root: str) -> bool:
    with contextlib.suppress(*GONE):
        if process.environ().get(ROOT_MARK) == root:
            return True
        return process.name() in OVERWRITE_ENVIRONMENT and process.cwd().startswith(f"{root}/")
    return False


def processes_in_group(group: int, root: str) -> list[psutil.Process]:
    """The living members of a process group that belong to the stack in `root`.

    Unlike `killpg` this stays safe when the leader is gone and its number was given to a stranger.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and _belongs(process, root):
                found.append(process)
    return found


def is_database(process: psutil.Process) -> bool:
    """Whether this is PostgreSQL, which must be allowed to shut down."""
    with contextlib.suppress(*GONE):
        return bool(process.name() == "postgres")
    return False


def send(processes: Iterable[psutil.Process], what: signal.Signals) -> None:
    """Signal those that still live; psutil never signals a stranger that took over a process id."""
    for process in processes:
        with contextlib.suppress(*GONE):
            process.send_signal(what)


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie holds nothing and counts as gone."""
    return [process for process in processes if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(*GONE):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def is_stopped(process: psutil.Process) -> bool:
    """Whether its clock stands, or it has none any more."""
    with contextlib.suppress(*GONE):
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE)
    return True


def end_leftovers(root: Path) -> int:
    """End all processes of the stack in `root`, the database gently; returns how many there were. Blocking."""
    found = processes_of(root)
    ended = len(found)
    databases = [process for process in found if is_database(process)]
    send([process for process in found if process not in databases], signal.SIGKILL)
    send(databases, signal.SIGINT)
    send(databases, signal.SIGCONT)
    _wait_gone(databases, DATABASE_GRACE_S)
    while found := processes_of(root):
        send(found, signal.SIGKILL)
        if not _wait_gone(found, KILL_WAIT_S):
            break
    return ended


def _wait_gone(processes: list[psutil.Process], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while alive(processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
