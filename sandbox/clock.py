"""The sandbox's time: the machine's clock plus an offset that an admin may move."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

from sandbox.json_text import Json
from sandbox.record_log import RecordLog


def iso(at: float) -> str:
    """Seconds since the epoch as the timestamp that the providers print, for example 2026-11-21T04:02:38.120Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class SandboxClock:
    """Tells the time of every job, expiry and deadline. Moving it wakes everything that sleeps on it."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log
        self._offset_s = 0.0
        self._moved = asyncio.Event()
        log.subscribe("clock", self._replay)

    def now(self) -> float:
        """Seconds since the epoch, on the sandbox's clock."""
        return time.time() + self._offset_s

    def advance(self, seconds: float) -> float:
        """Move the clock by this much (negative is allowed) and return the new time."""
        self._offset_s += seconds
        self._log.append("clock", {"offset_s": self._offset_s})
        self._moved.set()
        self._moved = asyncio.Event()
        return self.now()

    def set(self, at: float) -> float:
        """Move the clock to this time and return it."""
        return self.advance(at - self.now())

    async def sleep_until(self, at: float) -> None:
        """Return when the clock shows `at`, even if it is moved there."""
        while (left := at - self.now()) > 0:
            moved = self._moved
            with contextlib.suppress(TimeoutError):
                # A day is longer than any process of ours sleeps; infinite times must not overflow the loop's timer.
                await asyncio.wait_for(moved.wait(), min(left, 86_400.0))

    async def sleep(self, seconds: float) -> None:
        """Sleep for this long on the sandbox's clock."""
        await self.sleep_until(self.now() + seconds)

    def reset(self) -> None:
        """Show the machine's time again."""
        self._offset_s = 0.0

    def _replay(self, record: Json) -> None:
        self._offset_s = float(record["offset_s"])
