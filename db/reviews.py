"""Purchases of unknown outcome that wait for an operator, and the log of what operators decided."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import SpendState, Status
from db.models import Generation, Spend
from db.operation_models import Notice, OperatorAction
from errors import NotFound


@dataclass(frozen=True, slots=True)
class Review:
    """A purchase that waits, and the jobs that webhooks named for it."""

    spend: Spend
    job_ids: tuple[str, ...]


async def waiting(session: AsyncSession, *, after: UUID | None, limit: int) -> list[Review]:
    """What waits for a decision, the oldest purchase first; `after` is the last id of the page before."""
    query = (
        select(Spend)
        .join(Generation, col(Generation.id) == col(Spend.generation_id))
        .where(Generation.status == Status.needs_review, Spend.state == SpendState.unknown)
    )
    if after is not None:
        query = query.where(Spend.id > after)
    spends = (await session.exec(query.order_by(col(Spend.id)).limit(limit))).all()
    named = await _jobs_named(session, [spend.token for spend in spends])
    return [Review(spend, tuple(named[spend.token])) for spend in spends]


async def _jobs_named(session: AsyncSession, tokens: Sequence[str]) -> dict[str, list[str]]:
    query = select(Notice).where(col(Notice.token).in_(tokens), col(Notice.job_id).is_not(None))
    named: dict[str, list[str]] = defaultdict(list)
    for notice in (await session.exec(query.order_by(col(Notice.received_at)))).all():
        if notice.job_id and notice.job_id not in named[notice.token]:
            named[notice.token].append(notice.job_id)
    return named


async def locked(session: AsyncSession, spend_id: UUID) -> tuple[Generation, Spend]:
    """A purchase and its generation, kept from changing until the transaction ends. Raises NotFound.

    The generation comes first, as it does when a generation is closed: two that wait for each other would be a deadlock.
    """
    spend = await session.get(Spend, spend_id)
    if spend is None:
        raise NotFound("There is no such purchase.")
    generation = await session.get_one(Generation, spend.generation_id, with_for_update=True)
    await session.refresh(spend, with_for_update=True)
    return generation, spend


async def lock_job(session: AsyncSession, provider: str, job_id: str) -> None:
    """Let nobody else adopt this job until the transaction ends."""
    name = f"{provider} {job_id}"
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def owner_of(session: AsyncSession, provider: str, job_id: str) -> UUID | None:
    """The purchase that this job belongs to."""
    query = select(Spend.id).where(Spend.provider == provider, Spend.provider_job_id == job_id)
    return (await session.exec(query)).first()


async def undecided(session: AsyncSession, generation_id: UUID) -> int:
    """How many purchases of a generation still wait."""
    here = [Spend.generation_id == generation_id, Spend.state == SpendState.unknown]
    return (await session.exec(select(func.count()).select_from(Spend).where(*here))).one()


async def last_action(session: AsyncSession, spend_id: UUID) -> OperatorAction | None:
    """What was decided last about a purchase."""
    query = select(OperatorAction).where(OperatorAction.spend_id == spend_id)
    return (await session.exec(query.order_by(col(OperatorAction.id).desc()).limit(1))).first()


async def actions(session: AsyncSession, *, before: UUID | None, limit: int) -> Sequence[OperatorAction]:
    """What operators did, newest first; `before` is the last id of the page before."""
    query = select(OperatorAction)
    if before is not None:
        query = query.where(OperatorAction.id < before)
    return (await session.exec(query.order_by(col(OperatorAction.id).desc()).limit(limit))).all()
