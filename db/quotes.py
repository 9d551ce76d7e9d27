"""Prices that were promised for a while, and the generations that were accepted at them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.columns import now
from db.money_models import QuoteOffer
from errors import NotFound, QuoteExpired, QuoteMismatch, QuoteUsed


async def offer(session: AsyncSession, quote: QuoteOffer) -> None:
    """Keep what was promised."""
    session.add(quote)
    await session.flush()


async def valid(session: AsyncSession, quote_id: UUID, *, tenant_id: UUID, request_hash: str) -> QuoteOffer:
    """The tenant's quote for this request. Raises NotFound, QuoteUsed, QuoteMismatch, QuoteExpired."""
    query = select(QuoteOffer).where(QuoteOffer.id == quote_id, QuoteOffer.tenant_id == tenant_id)
    quote = (await session.exec(query)).first()
    if quote is None:
        raise _unknown()
    if quote.generation_id is not None:
        raise _used_for(quote.generation_id)
    if quote.request_hash != request_hash:
        raise QuoteMismatch
    if quote.expires_at <= now():
        raise QuoteExpired(expired_at=quote.expires_at.isoformat().replace("+00:00", "Z"))
    return quote


async def use(session: AsyncSession, quote_id: UUID, generation_id: UUID) -> None:
    """Note which generation was accepted at this price, in the transaction that accepts it.

    The quote was found `valid` for the generation's tenant. Raises QuoteUsed, or NotFound when it was purged since.
    """
    unused = [col(QuoteOffer.id) == quote_id, col(QuoteOffer.generation_id).is_(None)]
    used = update(QuoteOffer).where(*unused).values(generation_id=generation_id).returning(col(QuoteOffer.id))
    if (await session.exec(used)).scalar_one_or_none() is not None:
        return
    other = (await session.exec(select(QuoteOffer.generation_id).where(QuoteOffer.id == quote_id))).first()
    raise _used_for(other) if other else _unknown()


def _used_for(generation_id: UUID) -> QuoteUsed:
    detail = f"The quote was used for the generation {generation_id}, and is good for one."
    return QuoteUsed(detail, generation_id=str(generation_id))


def _unknown() -> NotFound:
    return NotFound("There is no quote with the id in quote_id.")


async def old_rows(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """How many quotes expired before then; counts to `limit`."""
    old = select(QuoteOffer.id).where(QuoteOffer.expires_at < before).limit(limit)
    return len((await session.exec(old)).all())


async def purge(session: AsyncSession, *, before: datetime, limit: int) -> None:
    """Forget quotes that expired before then, at most `limit`."""
    old = select(QuoteOffer.id).where(QuoteOffer.expires_at < before).limit(limit)
    await session.exec(delete(QuoteOffer).where(col(QuoteOffer.id).in_(old)))
