"""How fast somebody may ask: the generic cell rate algorithm (GCRA), one round trip a request, shared by all processes.

Of a limit of N a minute, N requests may come at once; then a further one every 60/N seconds. A row holds when all that was
admitted would be used up at that pace (the theoretical arrival time); a request fits when that is at most a minute ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from db.protection_models import RateLimit

WINDOW_US: Final = 60_000_000

# The rule itself is a function of the database (migration 0004), so that several limits need one round trip, too.
TAKE: Final = "select is_admitted, ahead_s from take_rates($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of requests a minute, by the name that it is counted under."""

    name: str
    per_minute: int

    @property
    def step_us(self) -> int:
        """How far apart its requests are (microseconds)."""
        return WINDOW_US // self.per_minute


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit stands after a request: `remaining` more may come at once, and it is whole again after `whole_s`.

    `wait_s`: 0 for a request that was admitted; else how long until the next one can be.
    """

    remaining: int
    whole_s: float
    wait_s: float = 0.0


async def take(database: Database, rates: Sequence[Rate], *, moment: datetime | None = None) -> list[Standing]:
    """Count a request against all of these limits if it fits them all; one that does not changes nothing.

    How they stand, in order; the last one is the limit that refuses, where one does. Raises DatabaseUnavailable.
    """
    bursts = [float(rate.per_minute) for rate in rates]
    taken = await database.fetch_row(
        TAKE, [rate.name for rate in rates], [float(rate.step_us) for rate in rates], bursts, moment
    )
    *before, last = zip(rates, taken["ahead_s"], strict=False)
    admitted = [_admitted(rate, ahead_s) for rate, ahead_s in before]
    return [*admitted, _admitted(*last) if taken["is_admitted"] else _refused(*last)]


def _admitted(rate: Rate, ahead_s: float) -> Standing:
    free_us = rate.step_us * rate.per_minute - round(ahead_s * 1e6)
    return Standing(remaining=max(0, free_us // rate.step_us), whole_s=max(0.0, ahead_s))


def _refused(rate: Rate, ahead_s: float) -> Standing:
    over_us = round(ahead_s * 1e6) + rate.step_us - rate.step_us * rate.per_minute
    # Its turn may have come while it was counted: then the client may ask again at once.
    return Standing(remaining=0, whole_s=max(0.0, ahead_s), wait_s=max(1, over_us) / 1e6)


async def old_rows(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """How many limits are whole since then, as if they had never been used; counts to `limit`."""
    return len((await session.exec(select(RateLimit.name).where(RateLimit.next_at < before).limit(limit))).all())


async def purge(session: AsyncSession, *, before: datetime, limit: int) -> None:
    """Forget limits that are whole since then, at most `limit`."""
    # What a request holds is passed by: requests take two limits, one after the other.
    old = select(RateLimit.name).where(RateLimit.next_at < before).limit(limit).with_for_update(skip_locked=True)
    await session.exec(delete(RateLimit).where(col(RateLimit.name).in_(old)))
