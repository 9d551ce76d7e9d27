"""Who comes with many wrong keys is told to wait, so that keys cannot be guessed and the database is not asked for each."""

import ipaddress
import math
import time
from collections.abc import Callable

from errors import RateLimited

PER_MINUTE = 30
STEP_S = 60 / PER_MINUTE
WINDOW_S = 60.0
# Each process counts for itself, and no more than so many addresses: about 2 MB.
MOST_ADDRESSES = 10_000
# What one customer of a provider has; counted one by one they would be more than anybody can count.
IPV6_NETWORK = 64


class WrongKeys:
    """The wrong keys of the last minute, by the address that they came from (GCRA, as in db/rate_limits.py)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used_up_until: dict[str, float] = {}

    def check(self, address: str | None) -> None:
        """Raises RateLimited when too many wrong keys came from there."""
        if address is None:
            return
        wait_s = self._used_up_until.get(_place(address), 0.0) + STEP_S - WINDOW_S - self._clock()
        if wait_s > 0:
            raise RateLimited(
                f"More than {PER_MINUTE} wrong API keys came from this address within a minute.",
                limit=PER_MINUTE,
                of="address",
                per="minute",
                retry_after_s=math.ceil(wait_s),
            )

    def note(self, address: str | None) -> None:
        """A wrong key came from there."""
        if address is None:
            return
        place, moment = _place(address), self._clock()
        before = self._used_up_until.pop(place, 0.0)  # the newest are the last of the dictionary
        if len(self._used_up_until) >= MOST_ADDRESSES:
            self._forget(moment)
        self._used_up_until[place] = max(before, moment) + STEP_S

    def _forget(self, moment: float) -> None:
        """Forget who has waited long enough, or else whoever was not heard of for longest."""
        kept = {place: until for place, until in self._used_up_until.items() if until > moment}
        while len(kept) >= MOST_ADDRESSES:
            del kept[next(iter(kept))]
        self._used_up_until = kept


def _place(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:  # so a proxy that speaks both tells of an IPv4 client
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
