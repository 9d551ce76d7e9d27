"""Usage: what tenants asked for, bought and spent in some days, summed up by groups from the ledger itself.

What was spent is the sum over the purchases, so that every way to group it gives the same sum, to the last millionth. What is
held is what a generation may still cost: the purchases that are under way, and what is left of its promised price.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import DateTime, Row, TextClause, Uuid, bindparam, text
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.usage import FIGURES, UsageFigures, UsageGroup
from db.quotas import first_id

# Ids are made with their time in them, in the same moment as the row's own time: they find the days' rows without a scan.
ID_SLACK: Final = timedelta(hours=1)
# So many groups are read from PostgreSQL at once.
AT_ONCE: Final = 500

# What a generation is grouped by, and what a purchase is.
OF_GENERATION: Final = {
    UsageGroup.tenant: "cast(tenant_id as text)",
    UsageGroup.day: "cast(cast(created_at at time zone 'utc' as date) as text)",
    UsageGroup.key: "key_id",
    UsageGroup.user: "user_id",
    UsageGroup.session: "session_id",
    UsageGroup.tag: "tag",
    UsageGroup.kind: "kind",
}
OF_PURCHASE: Final = {UsageGroup.provider: "provider", UsageGroup.model: "model"}
# One that was never sent was no purchase; one that was found later, and whose sending nobody saw, was.
WAS_BOUGHT: Final = "(sends > 0 or state = 'settled')"
IS_OPEN: Final = "state not in ('settled', 'released')"
# A generation without tags is in the group of those, once.
TAGS: Final = "cross join lateral (select distinct unnest(case when tags = '{}' then array[null]::text[] else tags end) as tag) as tagged"


@dataclass(frozen=True, slots=True)
class UsageWanted:
    """Which usage: of a tenant (None: of all), from the first to the last day by UTC, both included."""

    tenant_id: UUID | None
    first: date
    last: date
    groups: tuple[UsageGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageLine:
    """A group: what its members have in common, in the order of the groups that were wanted; None: they have none of it."""

    members: tuple[str | None, ...]
    figures: UsageFigures


async def lines(session: AsyncSession, wanted: UsageWanted) -> AsyncGenerator[UsageLine, None]:
    """All groups in order, read little by little; without groups one line, the whole."""
    connection = await session.connection()
    async with connection.stream(_query(wanted.groups, everybody=wanted.tenant_id is None), _values(wanted)) as found:
        async for rows in found.partitions(AT_ONCE):
            for row in rows:
                yield _line(row, len(wanted.groups))


async def first_lines(session: AsyncSession, wanted: UsageWanted, *, limit: int) -> Sequence[UsageLine]:
    """The first groups, at most `limit`."""
    found: list[UsageLine] = []
    async with aclosing(lines(session, wanted)) as every:
        async for line in every:
            found.append(line)
            if len(found) == limit:
                break
    return found


async def whole(session: AsyncSession, wanted: UsageWanted) -> UsageFigures:
    """The same days without groups: nothing is counted twice."""
    connection = await session.connection()
    row = (await connection.execute(_query((), everybody=wanted.tenant_id is None), _values(wanted))).one()
    return _line(row, 0).figures


def _values(wanted: UsageWanted) -> dict[str, Any]:
    since = datetime.combine(wanted.first, time(), UTC)
    until = datetime.combine(wanted.last, time(), UTC) + timedelta(days=1)
    ids = {"first_id": first_id(since - ID_SLACK), "first_id_after": first_id(until + ID_SLACK)}
    of = {} if wanted.tenant_id is None else {"tenant_id": wanted.tenant_id}
    return {"since": since, "until": until, **ids, **of}


def _line(row: Row[Any], groups: int) -> UsageLine:
    return UsageLine(tuple(row[:groups]), UsageFigures(**dict(zip(FIGURES, row[groups:], strict=True))))


@cache
def _query(groups: tuple[UsageGroup, ...], *, everybody: bool) -> TextClause:
    """One statement; only words of this file are put together."""
    of_generation = "".join(f", {OF_GENERATION[group]} as by_{group}" for group in groups if group in OF_GENERATION)
    of_purchase = "".join(f", {OF_PURCHASE[group]}" for group in groups if group in OF_PURCHASE)
    whose = "" if everybody else "tenant_id = :tenant_id and "
    members = [OF_PURCHASE.get(group, f"by_{group}") for group in groups]
    has_tags = UsageGroup.tag in groups
    statement = f"""
        with chosen as (
            select id, status, case when hold_usd > 0 then quote_max_usd else 0 end as promised{of_generation}
            from generation {TAGS if has_tags else ""}
            where {whose}id >= :first_id and id < :first_id_after and created_at >= :since and created_at < :until
        ), once as (
            select {"distinct" if has_tags else ""} id, promised from chosen
        ), bought as (
            select generation_id{of_purchase},
                count(*) filter (where {WAS_BOUGHT}) as purchases,
                count(*) filter (where {WAS_BOUGHT} and not ({IS_OPEN}) and asset_id is null) as failed_purchases,
                count(asset_id) as made,
                coalesce(sum(cost_usd) filter (where state = 'settled'), 0) as cost,
                coalesce(sum(cost_usd) filter (where state = 'settled' and own_key), 0) as own,
                coalesce(sum(hold_usd) filter (where {IS_OPEN}), 0) as held
            from spend where {whose}generation_id >= :first_id and generation_id < :first_id_after
            group by generation_id{of_purchase}
        ), part as ({_parts_by_purchase(of_purchase) if of_purchase else PARTS})
        select {"".join(f"{member}, " for member in members)}
            count(*) filter (where counts) as generations,
            coalesce(sum(made) filter (where status = 'succeeded'), 0) as pictures,
            coalesce(sum(purchases), 0) as purchases,
            coalesce(sum(failed_purchases), 0) as failed_purchases,
            cast(coalesce(sum(cost), 0) as numeric(18, 6)) as cost_usd,
            cast(coalesce(sum(own), 0) as numeric(18, 6)) as own_keys_usd,
            cast(coalesce(sum(part.held), 0) as numeric(18, 6)) as held_usd
        from part join chosen using (id)
        {_in_order(members)}
    """  # noqa: S608 no word of it comes from outside
    days = [bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until")]
    ids = ["first_id", "first_id_after", *([] if everybody else ["tenant_id"])]
    return text(statement).bindparams(*days, *(bindparam(name, type_=Uuid()) for name in ids))


# A generation is in one group, with all that it bought.
PARTS: Final = """
    select id, true as counts, made, purchases, failed_purchases, cost, own,
        greatest(coalesce(held, 0), promised - coalesce(cost, 0)) as held
    from once left join bought on generation_id = id
"""


def _parts_by_purchase(of_purchase: str) -> str:
    """What was bought is where it was bought; a generation that bought nothing, and a promise that is left, are nowhere."""
    nowhere = ", null" * of_purchase.count(",")
    return f"""
        select generation_id as id{of_purchase}, true as counts, made, purchases, failed_purchases, cost, own, held
        from bought
        union all
        select id{nowhere}, cost is null, null, null, null, null, null,
            greatest(0, promised - coalesce(cost, 0) - coalesce(held, 0))
        from once left join (
            select generation_id, sum(cost) as cost, sum(held) as held from bought group by generation_id
        ) as everywhere on generation_id = id
        where cost is null or promised > cost + held
    """  # noqa: S608 as above


def _in_order(members: list[str]) -> str:
    if not members:
        return ""
    return f"group by {', '.join(members)} order by " + ", ".join(f"{member} nulls last" for member in members)
