"""Sees every move of the breakers, in the order in which they were made: a trigger writes them down beside the breakers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.standing import BreakerState
from db.engine import Database

BEGIN: Final = (
    "create table breaker_move (number bigserial primary key, provider text, model text, state text)",
    """
    create function write_breaker_move() returns trigger language plpgsql as $$
    begin
        insert into breaker_move (provider, model, state) values (new.provider, new.model, new.state);
        return null;
    end $$
    """,
    "create trigger breaker_watched after update on breaker for each row execute function write_breaker_move()",
)
END: Final = (
    "drop trigger if exists breaker_watched on breaker",
    "drop function if exists write_breaker_move",
    "drop table if exists breaker_move",
)


@dataclass(frozen=True)
class BreakerWatch:
    """What was seen so far."""

    database: Database

    async def moves(self, provider: str, model: str = "") -> list[BreakerState]:
        """The breaker's state after each failure and success that was counted on it, and after each probe."""
        query = text("select state from breaker_move where provider = :provider and model = :model order by number")
        async with self.database.transaction() as session:
            connection = await session.connection()
            rows = await connection.execute(query, {"provider": provider, "model": model})
            return [BreakerState(state) for (state,) in rows.all()]

    async def failures_to_open(self, provider: str, model: str = "") -> int:
        """How many failures it took until the breaker opened for the first time, the last one included."""
        return (await self.moves(provider, model)).index(BreakerState.open) + 1


@asynccontextmanager
async def watching_breakers(database: Database) -> AsyncIterator[BreakerWatch]:
    """See all moves until the block ends."""
    async with database.transaction() as session:
        await _do(session, (*END, *BEGIN))
    try:
        yield BreakerWatch(database)
    finally:
        async with database.transaction() as session:
            await _do(session, END)


async def _do(session: AsyncSession, statements: tuple[str, ...]) -> None:
    connection = await session.connection()
    for statement in statements:
        await connection.execute(text(statement))
