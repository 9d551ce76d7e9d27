"""Lanes: what operators decided about providers and models. Row, audit log, event and notification are one transaction.

Everywhere an empty `model` stands for the provider as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.lanes import LaneAction
from contracts.names import CHANNEL_STANDING
from db.audit import OF_KEY, Actor, record
from db.columns import now
from db.operation_models import OperatorAction
from db.prepared import run
from db.standing_models import Busy, Lane, ProviderEvent

# What may go out at once on a lane with a limit: as much as belongs to one second, and at least one purchase.
BURST_S: Final = 1.0
EVENT: Final = {LaneAction.pause: "lane.paused", LaneAction.drain: "lane.draining", LaneAction.resume: "lane.resumed"}
SHORTEST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 2.0  # then ask again: an operator may have changed the limit meanwhile


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides about which lane, and why. `key_id` is the operator's key; `actor`: what the audit log says of the request."""

    key_id: str
    provider: str
    model: str
    note: str
    actor: Actor | None = None


async def set_mode(session: AsyncSession, decision: Decision, action: LaneAction) -> Lane:
    """Pause, drain or resume a lane. The same decision sent again changes nothing and is not logged twice.

    To resume a provider takes back what it told us about waiting, too.
    """
    freed: dict[str, str] = {}
    if action is LaneAction.resume and not decision.model:
        freed = await _waits_no_more(session, decision.provider)
    lane = await _locked(session, decision)
    before, lane.mode = lane.mode, action.mode
    if before is not action.mode or lane.note != decision.note or freed:
        facts = {"mode": action.mode.value, "before": before.value, **freed}
        await _write_down(session, decision, lane, EVENT[action], facts)
    return lane


async def set_limit(session: AsyncSession, decision: Decision, creates_per_minute: int | None) -> Lane:
    """Limit the purchases that a lane may begin in a minute; None takes the limit back. The same again changes nothing."""
    lane = await _locked(session, decision)
    before, lane.creates_per_minute = lane.creates_per_minute, creates_per_minute
    if before != creates_per_minute or lane.note != decision.note:
        lane.next_create_at = None  # what was counted under the old limit would hold up the new one
        facts = {"creates_per_minute": creates_per_minute, "before": before}
        await _write_down(session, decision, lane, "lane.limited", facts)
    return lane


async def decided(session: AsyncSession) -> Sequence[Lane]:
    """All lanes that an operator ever decided about, by name."""
    return (await session.exec(select(Lane).order_by(col(Lane.provider), col(Lane.model)))).all()


async def provider_limits(session: AsyncSession) -> dict[str, int]:
    """The operators' limits of whole providers (purchases a minute), by provider; who is not in it has none."""
    query = select(Lane.provider, Lane.creates_per_minute).where(Lane.model == "")
    return {provider: limit for provider, limit in (await session.exec(query)).all() if limit is not None}


async def events(
    session: AsyncSession, *, provider: str | None, before: UUID | None, limit: int
) -> Sequence[ProviderEvent]:
    """What happened to providers and models, newest first; `before` is the last id of the page before."""
    query = select(ProviderEvent)
    if provider is not None:
        query = query.where(ProviderEvent.provider == provider)
    if before is not None:
        query = query.where(ProviderEvent.id < before)
    return (await session.exec(query.order_by(col(ProviderEvent.id).desc()).limit(limit))).all()


async def count_events(session: AsyncSession, *, since: datetime, until: datetime) -> dict[tuple[str, str, str], int]:
    """How many events there were after `since`, up to `until`, by (type, provider, model)."""
    kind, provider, model = col(ProviderEvent.type), col(ProviderEvent.provider), col(ProviderEvent.model)
    query = (
        select(kind, provider, model, func.count())
        .where(ProviderEvent.created_at > since, ProviderEvent.created_at <= until)
        .group_by(kind, provider, model)
    )
    return {(row[0], row[1], row[2]): row[3] for row in (await session.exec(query)).all()}


async def take(session: AsyncSession, provider: str, model: str) -> float:
    """Take one purchase out of a lane's limit. 0.0: taken, or there is no limit; else the seconds after which to ask again.

    One statement, safe among any number of workers. The lane fills evenly: 60 a minute are one a second, and not 60 at
    the full minute. Nothing is reserved for who has to wait.
    """
    rows = await run(session, _take(), {"provider": provider, "model": model})
    return float(rows.scalar_one_or_none() or 0.0)


async def _locked(session: AsyncSession, decision: Decision) -> Lane:
    values = Lane(provider=decision.provider, model=decision.model).model_dump()
    await session.exec(insert(Lane).values(**values).on_conflict_do_nothing())
    here = [Lane.provider == decision.provider, Lane.model == decision.model]
    return (await session.exec(select(Lane).where(*here).with_for_update())).one()


async def _waits_no_more(session: AsyncSession, provider: str) -> dict[str, str]:
    """Forget that the provider told us to wait; the fact to write down, unless that is over anyway."""
    busy = await session.get(Busy, provider, with_for_update=True)
    told = [until for until in (busy.busy_until, busy.reads_busy_until) if until and until > now()] if busy else []
    if busy is None or not told:
        return {}
    busy.busy_until = busy.reads_busy_until = None
    session.add(busy)
    return {"was_busy_until": max(told).isoformat(timespec="seconds")}


async def _write_down(
    session: AsyncSession, decision: Decision, lane: Lane, action: str, facts: dict[str, Any]
) -> None:
    lane.note, lane.changed_by, lane.changed_at = decision.note, decision.key_id, now()
    session.add(lane)
    of_lane = {"provider": decision.provider, "model": decision.model}
    session.add(OperatorAction(key_id=decision.key_id, action=action, note=decision.note, facts=of_lane | facts))
    session.add(ProviderEvent(provider=decision.provider, model=decision.model, type=action, data=facts))
    actor, name = decision.actor or Actor(f"{OF_KEY}{decision.key_id}"), f"{decision.provider}/{decision.model}"
    await record(session, actor, action, "lane", name.rstrip("/"), note=decision.note, **facts)
    await session.exec(select(func.pg_notify(CHANNEL_STANDING, decision.provider)))


@cache
def _take() -> Executable:
    # The generic cell rate algorithm: `next_create_at` moves on by one purchase's share of a minute. PostgreSQL's clock is
    # the only one, and who waited for the row's lock has the condition checked again on the row as it is then.
    share = "60.0 / creates_per_minute"
    ahead = f"make_interval(secs => greatest({BURST_S} - {share}, 0))"
    return text(
        f"""
        with taken as (
            update lane
            set next_create_at =
                greatest(next_create_at, clock_timestamp()) + make_interval(secs => {share})
            where provider = :provider and model = :model and creates_per_minute is not null
                and (next_create_at is null or next_create_at <= clock_timestamp() + {ahead})
            returning 1
        )
        select case
            when creates_per_minute is null or exists (select from taken) then 0
            else least({LONGEST_WAIT_S}, greatest({SHORTEST_WAIT_S},
                extract(epoch from next_create_at - clock_timestamp() - {ahead})))
        end
        from lane where provider = :provider and model = :model
        """  # noqa: S608 numbers of our own
    )
