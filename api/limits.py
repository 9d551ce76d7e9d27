"""How fast callers may ask: the limits of their key and of their tenant, shared by all API processes."""

import math
import time
from dataclasses import dataclass
from typing import Final

from db.engine import Database
from db.keys import Caller
from db.rate_limits import Rate, Standing, take
from errors import RateLimited

# Of so many limits at once a process remembers that nothing fits.
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds for a caller; `of`: key or tenant."""

    of: str
    owner: str
    per_minute: int

    @property
    def name(self) -> str:
        """Under what the database counts it."""
        return f"{self.of}:{self.owner}"


@dataclass(frozen=True, slots=True)
class Room:
    """How the tightest limit of a caller stands after a request."""

    limit: Limit
    standing: Standing

    def headers(self) -> list[tuple[str, str]]:
        """`RateLimit-*`, as the IETF's draft had them in separate headers: the reset is in seconds from now."""
        return [
            ("RateLimit-Limit", str(self.limit.per_minute)),
            ("RateLimit-Remaining", str(self.standing.remaining)),
            ("RateLimit-Reset", str(math.ceil(self.standing.whole_s))),
        ]


class TooFast(Exception):
    """A request does not fit, and nothing was counted for it."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self.room = room

    def refusal(self) -> RateLimited:
        """What the client is told."""
        limit, wait_s = self.room.limit, max(1, math.ceil(self.room.standing.wait_s))
        return RateLimited(
            f"The {limit.of} may make {limit.per_minute} requests a minute.",
            limit=limit.per_minute,
            of=limit.of,
            per="minute",
            retry_after_s=wait_s,
        )


class RequestLimits:
    """Counts requests. What has no limit is not counted at all; what was refused is refused here until it can fit again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._full_until: dict[Limit, float] = {}

    async def admit(self, caller: Caller) -> Room | None:
        """Count a request of this caller; None: there is no limit. Raises TooFast, DatabaseUnavailable."""
        limits = _limits_of(caller)
        if not limits:
            return None
        for limit in limits:
            self._refuse_if_full(limit)
        try:
            return await self._count(limits)
        except TooFast as refused:
            self._remember(refused.room)
            raise

    async def _count(self, limits: list[Limit]) -> Room:
        """A request that does not fit one of two limits is not counted by the other either."""
        standings = await take(self._database, [Rate(limit.name, limit.per_minute) for limit in limits])
        rooms = [Room(limit, standing) for limit, standing in zip(limits, standings, strict=False)]
        if rooms[-1].standing.wait_s > 0:
            raise TooFast(rooms[-1])
        return min(rooms, key=lambda room: room.standing.remaining)

    def _refuse_if_full(self, limit: Limit) -> None:
        """Nothing is ever given back, so that what is full stays full until its time has come."""
        wait_s = self._full_until.get(limit, 0.0) - time.monotonic()
        if wait_s > 0:
            whole_s = wait_s + 60 - 60 / limit.per_minute
            raise TooFast(Room(limit, Standing(remaining=0, whole_s=whole_s, wait_s=wait_s)))

    def _remember(self, room: Room) -> None:
        if len(self._full_until) >= MOST_REMEMBERED:
            self._full_until.clear()
        self._full_until[room.limit] = time.monotonic() + room.standing.wait_s


def _limits_of(caller: Caller) -> list[Limit]:
    found = [
        ("key", caller.key_id, caller.key_requests_per_minute),
        ("tenant", str(caller.tenant_id), caller.tenant.allowance.requests_per_minute),
    ]
    return [Limit(of, owner, per_minute) for of, owner, per_minute in found if per_minute is not None]
