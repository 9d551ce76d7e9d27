"""What was promised for a generation: all that is bought for it must fit that price, as the database sees to (migration 0004)."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.ledger import ENDED
from db.models import Generation, Spend

# As the insert of a purchase has it (migration 0004).
BUYING: Final = 4


async def lock(session: AsyncSession, generation_id: UUID) -> None:
    """Let nobody else buy for this generation until the transaction ends.

    Who inserts a purchase has it anyway. Who changes others before that takes it first: else they would have counted at their
    providers by then, and wait here for somebody who waits to count there.
    """
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(str(generation_id), BUYING))))


async def left_usd(session: AsyncSession, generation: Generation) -> Decimal:
    """What may still be bought of it (USD), all its purchases counted; below nothing when a bill was above the price."""
    counted = case((col(Spend.state).in_(ENDED), func.coalesce(Spend.cost_usd, 0)), else_=Spend.hold_usd)
    query = select(func.coalesce(func.sum(counted), 0)).where(Spend.generation_id == generation.id)
    return generation.quote_max_usd - Decimal((await session.exec(query)).one())
