"""The fault points from the lab's side: arm one, see which were used. The folder is shared with the processes."""

from pathlib import Path
from typing import Literal

from tests.crash.boundaries import Boundary

Action = Literal["kill", "pause"]


class ArmedPoints:
    """A folder with `armed/` and `fired/`, as fault_points.FaultPoints reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._armed = folder / "armed"
        self._fired = folder / "fired"
        for one in (self._armed, self._fired):
            one.mkdir(parents=True, exist_ok=True)

    def arm(self, boundary: Boundary, action: Action) -> None:
        """The first process that comes by there is ended or paused."""
        (self._fired / str(boundary)).unlink(missing_ok=True)
        aside = self.folder / "being-written"
        aside.write_text(action, "ascii")
        aside.rename(self._armed / str(boundary))  # at once: a process must never find half of it

    def has_fired(self, boundary: Boundary) -> bool:
        """Whether a process came by since it was armed. Its file stays: that process may still have to read it."""
        return (self._fired / str(boundary)).exists()

    def disarm(self, boundary: Boundary) -> bool:
        """Take it away again. False: a process was faster."""
        try:
            (self._armed / str(boundary)).unlink()
        except FileNotFoundError:
            return False
        return True
