"""What is written about purchases late: taken over from whoever forgot them, verified after their end, found by chance.

A generation's row is locked before its purchases are touched, as its end does it, so that the two wait for each other.
"""

import secrets
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import Billed, SpendState
from db import audit, events, ledger, lives, reviews
from db.columns import now
from db.ledger import ENDED
from db.models import Generation, Spend

# Purchases that nobody ordered are counted from here on, out of the way of the numbers that stories give out.
FIRST_STRAY = 1000


async def take_over(session: AsyncSession, spend: Spend) -> Spend | None:
    """The purchase under a lease of ours. None when it has moved, or somebody else works on it, since it was read."""
    taken = (
        update(Spend)
        .where(
            col(Spend.id) == spend.id,
            col(Spend.lease) == spend.lease,
            col(Spend.state) == spend.state,
            col(Spend.state).not_in(ENDED),
        )
        .values(lease=Spend.lease + 1)
        .returning(Spend)
    )
    return (await session.exec(taken)).scalars().one_or_none()


async def adopt(session: AsyncSession, spend: Spend, job_id: str) -> Spend | None:
    """unknown -> submitted with this job. None when the job is another purchase's: an operator may have given it away."""
    if await is_taken(session, spend.provider, job_id):
        return None
    return await ledger.adopt(session, spend, job_id=job_id)


async def is_taken(session: AsyncSession, provider: str, job_id: str) -> bool:
    """Whether the job is some purchase's. If not, nobody else can adopt it before this transaction has ended."""
    await reviews.lock_job(session, provider, job_id)
    return await reviews.owner_of(session, provider, job_id) is not None


async def verify(
    session: AsyncSession, spend: Spend, *, billed: Billed, cost_usd: Decimal, job_id: str | None = None
) -> bool:
    """Write what the provider says of a purchase that ended without its word. False when that was done before."""
    verified = (
        update(Spend)
        .where(col(Spend.id) == spend.id, col(Spend.state) == SpendState.settled, col(Spend.verified_at).is_(None))
        .values(
            billed=billed,
            cost_usd=cost_usd,
            provider_job_id=func.coalesce(Spend.provider_job_id, job_id),
            verified_at=now(),
        )
        .returning(col(Spend.id))
    )
    return (await session.exec(verified)).scalar_one_or_none() is not None


async def record_stray(
    session: AsyncSession, origin: Spend, *, job_id: str, billed: Billed, cost_usd: Decimal
) -> Spend | None:
    """Write down a job that carries the token of `origin` and is not its job. None when it is on record already."""
    if await is_taken(session, origin.provider, job_id):
        return None
    # Its words may have been erased since it was read; under the generation's lock they come and go no more.
    origin = await session.get_one(Spend, origin.id, populate_existing=True)
    numbers = select(func.max(Spend.purchase)).where(
        Spend.generation_id == origin.generation_id, Spend.step == origin.step
    )
    last = (await session.exec(numbers)).one() or 0
    moment = now()
    copied = origin.model_dump(exclude={"id", "asset_id", "raw_asset_id", "error_facts", "lease"})
    stray = Spend(
        **copied
        | {
            "purchase": max(last + 1, FIRST_STRAY),
            "state": SpendState.released if billed is Billed.no else SpendState.settled,
            "token": secrets.token_urlsafe(24),
            "cost_usd": cost_usd,
            "billed": billed,
            "possible_duplicate": True,
            "provider_job_id": job_id,
            "error_code": "stray_job",
            "sends": 0,
            "created_at": moment,
            "ended_at": moment,
            "verified_at": moment,
        }
    )
    session.add(stray)
    await session.flush()
    return stray


async def locked(session: AsyncSession, generation_id: UUID) -> Generation:
    """The generation's row, which nobody else changes until this transaction ends. Raises NotFound."""
    return await lives.read(session, generation_id, lock=True)


async def correct_cost(session: AsyncSession, generation: Generation) -> None:
    """Make the cost of a generation that has ended the sum of its purchases again, and tell of it.

    One that has not ended gets its cost at its end.
    """
    costs = await ledger.costs_of(session, generation.id)
    cost_usd, own_keys_usd = costs.cost_usd, lives.not_ours(generation.status, costs)
    if not generation.status.is_final or (cost_usd, own_keys_usd) == (generation.cost_usd, generation.own_keys_usd):
        return
    facts: dict[str, Any] = {"before_usd": generation.cost_usd, "after_usd": cost_usd}
    about = ("generation", str(generation.id))
    await audit.record(session, audit.SERVICE, "cost.corrected", *about, tenant_id=generation.tenant_id, **facts)
    here = col(Generation.id) == generation.id
    hold_usd = lives.still_promised(generation.status, promised_usd=generation.quote_max_usd, cost_usd=cost_usd)
    written = {"cost_usd": cost_usd, "own_keys_usd": own_keys_usd, "hold_usd": hold_usd}
    await session.exec(update(Generation).where(here).values(written))
    await events.append(session, generation.id, "generation.cost_corrected", {"cost_usd": str(cost_usd)})
