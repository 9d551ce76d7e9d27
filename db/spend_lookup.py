"""Finding a purchase from outside: a provider's webhook knows our token, and the job that we may have lost."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.names import CHANNEL_WAKE
from db.models import Spend
from db.operation_models import Notice
from db.prepared import run

# One statement: a webhook that comes once more is counted as known, and wakes nobody.
RECEIVE = text(
    """
    with known as (
        select generation_id from spend where token = :token and provider = :provider
    ), received as (
        insert into notice (id, provider, token, job_id, received_at)
        select :id, :provider, :token, :job_id, clock_timestamp() from known
        on conflict do nothing
        returning id
    )
    select (select pg_notify(:channel, cast(generation_id as text)) from received) from known
    """
)


async def receive(session: AsyncSession, notice: Notice) -> bool:
    """Keep a provider's word, once per webhook id, and make whoever waits for this purchase's job ask the provider now.

    False when this provider never got this token.
    """
    values = {"id": notice.id, "provider": notice.provider, "token": notice.token, "job_id": notice.job_id}
    found = await run(session, RECEIVE, values | {"channel": CHANNEL_WAKE})
    return found.one_or_none() is not None


class Tried(NamedTuple):
    """From whom a generation bought, or tried to; the code of what went wrong there, if something did."""

    provider: str
    model: str
    error_code: str | None


async def tried(session: AsyncSession, generation_id: UUID) -> list[Tried]:
    """Everyone from whom this generation bought, or tried to."""
    query = select(Spend.provider, Spend.model, Spend.error_code).where(Spend.generation_id == generation_id)
    return [Tried(*row) for row in (await session.exec(query.distinct())).all()]


async def job_named_in_notices(session: AsyncSession, spend: Spend) -> str | None:
    """The job that a webhook named for this purchase: not to be believed before the provider was asked about it."""
    query = (
        select(Notice.job_id)
        .where(Notice.token == spend.token, Notice.provider == spend.provider, col(Notice.job_id).is_not(None))
        .order_by(col(Notice.received_at))
        .limit(1)
    )
    return (await session.exec(query)).first()
