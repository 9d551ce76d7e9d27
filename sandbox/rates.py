"""Rate limits as token buckets."""

import time
from typing import Final

UNLIMITED_SHOWS: Final = 599
"""Requests that are said to remain when there is no limit: what the real service says to a new client."""


class RateLimit:
    """Lets `per_minute` requests through each minute, with a burst of `burst`; time is the machine's, never moved by an admin."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at = 0.0
        self._shape: tuple[float, float] | None = None

    def take(self, per_minute: float | None, burst: float | None = None) -> float:
        """Take one request. Returns 0.0 when it may pass, else the seconds until one would."""
        if per_minute is None:
            self._tokens = UNLIMITED_SHOWS
            return 0.0
        self._fill(per_minute, per_minute if burst is None else burst)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) * 60.0 / per_minute if per_minute else 60.0

    @property
    def remaining(self) -> int:
        """Requests that would pass right now."""
        return int(self._tokens)

    def _fill(self, per_minute: float, burst: float) -> None:
        now = time.monotonic()
        if self._shape != (per_minute, burst):
            self._shape = (per_minute, burst)
            self._tokens = burst
        else:
            self._tokens = min(burst, self._tokens + (now - self._filled_at) * per_minute / 60.0)
        self._filled_at = now
