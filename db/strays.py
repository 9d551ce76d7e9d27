"""What went astray, as the reconciler looks for it: rows that have not moved although nobody works on them any more.

Each query reads at most `limit` rows behind the id `after`, in the order of ids, so that a round can go on where the one
before stopped.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.statuses import AssetRole, AssetState, Billed, DeliveryState, SpendState, Status
from db.generations import LIVE
from db.ledger import ENDED
from db.models import Asset, Delivery, Event, Generation, Notice, Spend

UNSUCCESSFUL = (Status.failed, Status.canceled)
CLOSED = (Status.succeeded, *UNSUCCESSFUL)  # final, and no longer anybody's decision
UNFINISHED = (AssetState.pending, AssetState.deleting)


async def queued_quietly(
    session: AsyncSession, *, since: datetime, after: UUID | None, limit: int
) -> Sequence[Generation]:
    """Queued generations of which nothing was heard since then."""
    query = (
        select(Generation)
        .join(Event, and_(col(Event.generation_id) == Generation.id, col(Event.seq) == Generation.event_seq))
        .where(Generation.status == Status.queued, col(Event.created_at) < since)
    )
    return await _page(session, query, col(Generation.id), after, limit)


async def running(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[Generation]:
    """Generations that are being worked on, as far as their rows know."""
    query = select(Generation).where(Generation.status == Status.running)
    return await _page(session, query, col(Generation.id), after, limit)


async def asked_to_stop(
    session: AsyncSession, *, before: datetime, after: UUID | None, limit: int
) -> Sequence[Generation]:
    """Live generations whose clients asked before then to stop."""
    query = select(Generation).where(
        col(Generation.status).in_(LIVE), col(Generation.cancel_requested_at).is_not(None),
        col(Generation.cancel_requested_at) < before,
    )  # fmt: skip
    return await _page(session, query, col(Generation.id), after, limit)


async def open_spends_of_closed(
    session: AsyncSession, *, before: datetime, after: UUID | None, limit: int
) -> Sequence[Spend]:
    """Purchases that are still open although their generation was closed before then."""
    query = (
        select(Spend)
        .join(Generation, col(Generation.id) == Spend.generation_id)
        .where(
            col(Spend.state).not_in(ENDED),
            Spend.created_at < before,
            col(Generation.status).in_(CLOSED),
            col(Generation.finished_at) < before,
        )
    )
    return await _page(session, query, col(Spend.id), after, limit)


async def unverified_spends(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[Spend]:
    """Purchases that ended without the provider's word on whether they cost anything."""
    query = select(Spend).where(
        Spend.state == SpendState.settled,
        Spend.billed == Billed.unknown,
        col(Spend.verified_at).is_(None),
        col(Spend.lease_until) < func.clock_timestamp(),  # until then it may still arrive at the provider
    )
    return await _page(session, query, col(Spend.id), after, limit)


async def unknown_in_review(
    session: AsyncSession, *, providers: Collection[str], sent_after: datetime, after: UUID | None, limit: int
) -> Sequence[Spend]:
    """Purchases that people are to decide on, of which a provider or a webhook may still know something."""
    noticed = select(Notice.id).where(Notice.token == Spend.token, col(Notice.job_id).is_not(None)).exists()
    query = (
        select(Spend)
        .join(Generation, col(Generation.id) == Spend.generation_id)
        .where(
            Spend.state == SpendState.unknown,
            Generation.status == Status.needs_review,
            col(Spend.provider).in_(providers),
            or_(col(Spend.sent_at) > sent_after, noticed),
        )
    )
    return await _page(session, query, col(Spend.id), after, limit)


async def spends_of(session: AsyncSession, provider: str, tokens: Collection[str]) -> dict[str, Spend]:
    """The purchases with these tokens, by token."""
    query = select(Spend).where(Spend.provider == provider, col(Spend.token).in_(tokens))
    return {spend.token: spend for spend in (await session.exec(query)).all()}


async def jobs_on_record(session: AsyncSession, provider: str, job_ids: Collection[str]) -> dict[str, Spend]:
    """The purchases with these jobs, by job id."""
    query = select(Spend).where(Spend.provider == provider, col(Spend.provider_job_id).in_(job_ids))
    return {spend.provider_job_id or "": spend for spend in (await session.exec(query)).all()}


async def overdue_deliveries(
    session: AsyncSession, *, before: datetime, after: UUID | None, limit: int
) -> Sequence[Delivery]:
    """Webhooks that are to be delivered, and whose next attempt should have come before then."""
    due = func.coalesce(Delivery.next_attempt_at, Delivery.dispatched_at, Delivery.created_at)
    query = select(Delivery).where(Delivery.state == DeliveryState.pending, due < before)
    return await _page(session, query, col(Delivery.id), after, limit)


async def unfinished_assets(
    session: AsyncSession, *, before: datetime, after: UUID | None, limit: int
) -> Sequence[Asset]:
    """Pictures that nobody will finish or delete any more: their generation was closed before then, or never came to be."""
    query = (
        select(Asset)
        .join(Generation, col(Generation.id) == col(Asset.generation_id), isouter=True)
        .where(Asset.created_at < before, _left_behind(before))
    )
    return await _page(session, query, col(Asset.id), after, limit)


async def unfinished_asset(session: AsyncSession, asset_id: UUID, *, before: datetime) -> Asset | None:
    """The picture, if it is still one of those above."""
    query = (
        select(Asset)
        .join(Generation, col(Generation.id) == col(Asset.generation_id), isouter=True)
        .where(Asset.id == asset_id, Asset.created_at < before, _left_behind(before))
    )
    return (await session.exec(query)).first()


def _left_behind(before: datetime) -> Any:
    closed = and_(col(Generation.status).in_(CLOSED), col(Generation.finished_at) < before)
    of_nobody = col(Asset.generation_id).is_(None)
    unfinished = and_(col(Asset.state).in_(UNFINISHED), or_(closed, of_nobody))
    # Stored by an attempt that did not know that its generation had been closed; or a raw answer after its purchase.
    unwanted = and_(
        col(Asset.state) == AssetState.stored,
        closed,
        or_(col(Generation.status).in_(UNSUCCESSFUL), col(Asset.role) == AssetRole.raw),
    )
    return or_(unfinished, unwanted)


async def _page(
    session: AsyncSession, query: SelectOfScalar[Any], key: Any, after: UUID | None, limit: int
) -> Sequence[Any]:
    if after is not None:
        query = query.where(key > after)
    return (await session.exec(query.order_by(key).limit(limit))).all()
