"""Forget how providers stand, so that what one test broke does not move the next one's pictures elsewhere."""

from sqlmodel import SQLModel, delete, func, select

from contracts.names import CHANNEL_STANDING
from db.engine import Database
from db.standing_models import Breaker, Busy, Lane, TrafficMinute


async def all_stand_well(database: Database) -> None:
    """As on the first day; the workers hear of it at once."""
    await _forget(database, Breaker, Busy, Lane, TrafficMinute)


async def close_breakers(database: Database) -> None:
    """No provider has failed lately; what operators decided stays."""
    await _forget(database, TrafficMinute, Breaker)  # in the order in which a failure is counted


async def _forget(database: Database, *tables: type[SQLModel]) -> None:
    async with database.transaction() as session:
        for table in tables:
            await session.exec(delete(table))
        await session.exec(select(func.pg_notify(CHANNEL_STANDING, "all")))
