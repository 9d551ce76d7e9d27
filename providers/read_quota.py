"""A fair share of a provider's read limit: one token bucket per process and provider."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class ReadQuota:
    """Lets `per_minute` calls a minute through, at most `burst` at once, in the order in which they came.

    A caller that is canceled while it waits uses nothing up. The clock (seconds) and the sleep are parameters for tests.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        burst: int = 10,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if per_minute <= 0 or burst < 1:
            raise ValueError("a read quota needs at least one call a minute and a burst of one")
        self._rate = per_minute / 60.0
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._tokens = self._burst
        self._counted_at = clock()
        self._closed_until = self._counted_at
        self._turn = asyncio.Lock()  # wakes its waiters in order

    async def take(self) -> None:
        """Return when the caller may make one call."""
        async with self._turn:
            while (wait_s := self._wait_s()) > 0:
                await self._sleep(wait_s)
            self._tokens -= 1.0

    def hold_back(self, seconds: float) -> None:
        """Let nobody through for so many seconds: the provider said that we ask too often."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _wait_s(self) -> float:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._rate)
        self._counted_at = now
        missing = max(0.0, 1.0 - self._tokens)
        # A thousandth of a token is forgiven, so that rounding cannot make the wait endless.
        for_token = missing / self._rate if missing > 0.001 else 0.0
        return max(for_token, self._closed_until - now)
