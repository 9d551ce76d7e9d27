"""Finding a purchase from outside: a provider's webhook knows only our token."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.names import CHANNEL_WAKE
from db.prepared import run

WAKE = text(
    """
    select pg_notify(:channel, cast(generation_id as text)) from spend where token = :token and provider = :provider
    """
)


async def wake(session: AsyncSession, provider: str, token: str) -> bool:
    """Make whoever waits for this purchase's job ask the provider now. False when this provider never got this token."""
    found = await run(session, WAKE, {"channel": CHANNEL_WAKE, "token": token, "provider": provider})
    return found.one_or_none() is not None
