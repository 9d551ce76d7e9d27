"""How many generations a tenant may have under way and in a day: exact, however many are accepted at once."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.tiers import Allowance
from db.prepared import run
from errors import DailyQuotaExhausted, QueueFull

# About as long as a picture takes. Nobody knows when one of the tenant's generations ends.
RETRY_AFTER_S: Final = 10

# Who counts for a tenant in this way keeps out all others who do, until its transaction ends (migration 0004): a part of the
# statement that accepts. Columns: `under_way` and `of_the_day`, each null where there is no limit.
ROOM: Final = """
    tenant_room(cast(:tenant_id as uuid), cast(:most_under_way as bigint), cast(:most_of_the_day as bigint),
        cast(:day_begins as uuid), cast(:day_ends as uuid))
"""
LOOK: Final = text(
    """
    select
        case when cast(:most_under_way as bigint) is not null then
            (select count(*) from generation where tenant_id = :tenant_id and status in ('queued', 'running'))
        end as under_way,
        case when cast(:most_of_the_day as bigint) is not null then
            (select count(*) from generation where tenant_id = :tenant_id and id >= :day_begins and id < :day_ends)
        end as of_the_day
    """
)


def accepted_at(generation_id: UUID) -> datetime:
    """The millisecond in which an id (UUIDv7) was made: what decides which day a generation belongs to."""
    return datetime.fromtimestamp((generation_id.int >> 80) / 1000, UTC)


def first_id(day: datetime) -> UUID:
    """The smallest id of what is accepted from this moment on."""
    return UUID(int=(round(day.timestamp() * 1000) << 80))


def counted_by(tenant_id: UUID, allowance: Allowance, moment: datetime) -> dict[str, Any]:
    """The values of ROOM. Generations in review are not under way: the tenant can do nothing about them."""
    day = _day_of(moment)
    return {
        "tenant_id": tenant_id,
        "most_under_way": allowance.in_flight,
        "most_of_the_day": allowance.per_day,
        "day_begins": first_id(day),
        "day_ends": first_id(day + timedelta(days=1)),
    }


def check(allowance: Allowance, moment: datetime, under_way: int | None, of_the_day: int | None) -> None:
    """Whether one more fits what was counted (None: nothing was). Raises QueueFull, DailyQuotaExhausted."""
    if allowance.per_day is not None and of_the_day is not None and of_the_day >= allowance.per_day:
        raise _day_is_over(allowance.per_day, moment)
    if allowance.in_flight is not None and under_way is not None and under_way >= allowance.in_flight:
        raise QueueFull(
            f"{under_way} generations are under way, and {allowance.in_flight} may be.",
            limit=allowance.in_flight,
            of="tenant",
            retry_after_s=RETRY_AFTER_S,
        )


async def look(session: AsyncSession, tenant_id: UUID, allowance: Allowance, moment: datetime) -> None:
    """Whether one more would fit, if nobody else asks meanwhile: for who wants to know before something that costs.

    Nothing is asked where there is no limit. Raises QueueFull, DailyQuotaExhausted.
    """
    if allowance.in_flight is None and allowance.per_day is None:
        return
    room = (await run(session, LOOK, counted_by(tenant_id, allowance, moment))).one()
    check(allowance, moment, room.under_way, room.of_the_day)


def _day_of(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)


def _day_is_over(per_day: int, moment: datetime) -> DailyQuotaExhausted:
    next_day = _day_of(moment) + timedelta(days=1)
    left_s = (next_day - moment).total_seconds()
    return DailyQuotaExhausted(
        f"All {per_day} generations of this day were accepted.",
        limit=per_day,
        of="tenant",
        resets_at=next_day.isoformat().replace("+00:00", "Z"),
        retry_after_s=max(1, round(left_s + 0.5)),
    )
