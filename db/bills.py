"""Our purchases, as a provider's bill is compared with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, or_, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.bills import OurPurchase
from contracts.statuses import SpendState
from db.models import Spend
from db.quotas import first_id

# From the making of a purchase's row to its sending: it may wait in a queue, and be sent again.
ID_SLACK: Final = timedelta(days=1)
AT_ONCE: Final = 2000


async def by_jobs(session: AsyncSession, provider: str, job_ids: Sequence[str]) -> dict[str, OurPurchase]:
    """The purchases with these jobs, whenever they were made, by job id."""
    found: dict[str, OurPurchase] = {}
    for begin in range(0, len(job_ids), AT_ONCE):
        some = job_ids[begin : begin + AT_ONCE]
        query = _purchases().where(col(Spend.provider) == provider, col(Spend.provider_job_id).in_(some))
        found |= {one.job_id or "": one for one in await _read(session, query)}
    return found


async def between(session: AsyncSession, provider: str, since: datetime, until: datetime) -> list[OurPurchase]:
    """The purchases that were sent in this time."""
    sent_at = func.coalesce(Spend.sent_at, Spend.created_at)
    query = _purchases().where(
        col(Spend.provider) == provider,
        ~col(Spend.own_key),  # those are on the tenants' own bills
        col(Spend.id) >= first_id(since - ID_SLACK),
        col(Spend.id) < first_id(until + ID_SLACK),
        sent_at >= since,
        sent_at <= until,
        or_(col(Spend.sends) > 0, col(Spend.state) == SpendState.settled),
    )
    return await _read(session, query.order_by(col(Spend.id)))


def _purchases() -> Select[Any]:
    """Without their prompts."""
    ended = col(Spend.state).in_((SpendState.settled, SpendState.released))
    names = ("generation_id", "tenant_id", "model", "token", "provider_job_id", "state", "cost_usd", "billed")
    bought_at = func.coalesce(Spend.sent_at, Spend.created_at)
    return select(col(Spend.id), *(getattr(Spend, name) for name in names), bought_at, ended)


async def _read(session: AsyncSession, query: Select[Any]) -> list[OurPurchase]:
    connection = await session.connection()
    rows = (await connection.execute(query)).all()
    return [_purchase(*row) for row in rows]


def _purchase(*row: Any) -> OurPurchase:
    spend_id, generation_id, tenant_id, model, token, job_id, state, cost_usd, billed, bought_at, ended = row
    return OurPurchase(
        spend_id=spend_id,
        generation_id=generation_id,
        tenant_id=tenant_id,
        model=model,
        token=token,
        job_id=job_id,
        state=str(state),
        cost_usd=cost_usd if ended else None,
        billed=str(billed) if billed is not None else None,
        bought_at=bought_at,
    )
