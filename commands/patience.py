"""How long to wait for a server that does not answer."""

import asyncio
import random
import time

from commands.troubles import ServerUnreachable

FOR_A_STRANGER_S = 2.0  # a server that never answered is probably not there
FOR_A_KNOWN_ONE_S = 60.0  # one that answered before is restarting
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0


class Patience:
    """Pauses between tries, growing, until it is used up; every answer renews it."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._limit_s = FOR_A_STRANGER_S
        self._since: float | None = None
        self._pauses = 0

    def answered(self) -> None:
        """The server is there."""
        self._limit_s = FOR_A_KNOWN_ONE_S
        self._since = None
        self._pauses = 0

    async def pause(self, reason: str, *, at_least_s: float = 0.0) -> None:
        """Wait before the next try. Raises ServerUnreachable: long enough."""
        moment = time.monotonic()
        self._since = self._since if self._since is not None else moment
        if moment - self._since >= self._limit_s:
            raise ServerUnreachable(f"{self._api_url} does not serve: {reason}.")
        grown = min(FIRST_PAUSE_S * 2**self._pauses, LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
        self._pauses += 1
        left_s = self._limit_s - (moment - self._since)
        await asyncio.sleep(min(max(grown, at_least_s), left_s))
