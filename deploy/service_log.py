"""A service's log file: bounded at each start, and its last lines for people."""

from datetime import UTC, datetime
from pathlib import Path

ROTATE_ABOVE_BYTES = 8 * 1024 * 1024
KEPT_FILES = 3
# Twenty lines of a traceback fit; a runaway line cannot fill the screen.
TAIL_BYTES = 16 * 1024


class ServiceLog:
    """ROOT/logs/NAME.log, appended to by the service itself, so that it outlives the supervisor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start_of_run = 0

    def begin_run(self) -> None:
        """Rotate a file that has grown, and mark where this run begins."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > ROTATE_ABOVE_BYTES:
            self._rotate()
        with self.path.open("ab") as file:
            file.write(f"--- started {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ---\n".encode())
            self._start_of_run = file.tell()

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The last `count` lines that this run wrote."""
        if not self.path.exists():
            return ()
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._start_of_run, end - TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return tuple(line for line in text.splitlines() if line.strip())[-count:]

    def _rotate(self) -> None:
        for number in range(KEPT_FILES - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
