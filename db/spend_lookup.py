"""Finding a purchase from outside: a provider's webhook knows only our token."""

from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.models import Spend


async def generation_of_token(session: AsyncSession, provider: str, token: str) -> UUID | None:
    """The generation that a purchase belongs to; None when this provider never got this token."""
    query = select(Spend.generation_id).where(Spend.token == token, Spend.provider == provider)
    return (await session.exec(query)).first()
