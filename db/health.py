"""Whether PostgreSQL answers."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def ping(session: AsyncSession) -> None:
    """One round trip. Raises what the connection raises."""
    connection = await session.connection()
    await connection.execute(text("select 1"))
