"""Fault points: named places, before and after each effect, at which the crash lab ends or pauses a process.

Outside the lab nothing happens there: a root passes `pass_by`, and wrappers that only carry fault points are not built at all.
The lab arms a point by writing a file; the first process that comes by takes the file away and acts on it, so that each
arming is used once, whichever process it hits.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

Reach = Callable[[str], None]

ACTIONS: Final = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}


def pass_by(_point: str) -> None:
    """What a process outside the lab does at a fault point."""


class FaultPoints:
    """The armed points of one process; `folder` is shared with the lab, `process` is the first part of each name.

    `armed/PROCESS,POINT` holds `kill` or `pause`; it is moved to `fired/` at the moment it is used.
    """

    def __init__(self, folder: Path, process: str) -> None:
        self._armed = folder / "armed"
        self._fired = folder / "fired"
        self._process = process

    def reach(self, point: str) -> None:
        """Be ended or paused, if the lab armed this point."""
        name = f"{self._process},{point}"
        try:
            action = (self._armed / name).read_text("ascii").strip()
            (self._armed / name).rename(self._fired / name)
        except FileNotFoundError:  # not armed, or another process was quicker
            return
        os.kill(os.getpid(), ACTIONS[action])


def fault_points(folder: Path | None, process: str) -> Reach:
    """What this process does at its fault points."""
    return FaultPoints(folder, process).reach if folder else pass_by
