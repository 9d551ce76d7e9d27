"""What went astray, as the reconciler looks for it: rows that have not moved although nobody works on them any more.

Each query reads at most `limit` rows behind the id `after`, in the order of ids, so that a round can go on where the one
before stopped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.statuses import AssetRole, AssetState, Billed, DeliveryState, SpendState, Status
from db.generations import LIVE
from db.models import Asset, Event, Generation, Spend
from db.operation_models import Notice
from db.webhook_models import Delivery
from errors import GenerationCanceled

UNSUCCESSFUL = (Status.failed, Status.canceled)
CLOSED = (Status.succeeded, *UNSUCCESSFUL)  # final, and no longer anybody's decision
UNFINISHED = (AssetState.pending, AssetState.deleting)
# Said in the words of the index ix_asset_raw_stored.
UNFINISHED_ROLES = (AssetRole.raw, AssetRole.partial)
# Said in the words of the index ix_spend_open: PostgreSQL does not see that "not ended" is the same.
OPEN = (SpendState.held, SpendState.sent, SpendState.submitted, SpendState.unknown)
# Generations that failed are many more than their pictures that stayed behind: so many are asked after for each row.
GENERATIONS_PER_ROW = 10


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Pictures, and the id behind which the next look goes on (None: it came to the end)."""

    assets: Sequence[Asset]
    last: UUID | None


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
            col(Spend.state).in_(OPEN),
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
    session: AsyncSession,
    *,
    providers: Collection[str],
    sent_after: datetime,
    noticed_after: datetime,
    after: UUID | None,
    limit: int,
) -> Sequence[Spend]:
    """Purchases that people are to decide on, of which a provider or a webhook may still know something.

    Those that were sent after then, or of which a webhook told after then.
    """
    noticed = (
        select(Notice.id)
        .where(
            Notice.token == Spend.token,
            col(Notice.job_id).is_not(None),
            col(Notice.received_at) > noticed_after,
        )
        .exists()
    )
    query = (
        select(Spend)
        .join(Generation, col(Generation.id) == Spend.generation_id)
        .where(
            Spend.state == SpendState.unknown,
            Generation.status == Status.needs_review,
            col(Spend.provider).in_(providers),
            col(Spend.lease_until) < func.clock_timestamp(),  # until then it may still arrive at the provider
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


async def unfinished_assets(session: AsyncSession, *, before: datetime, after: UUID | None, limit: int) -> LeftBehind:
    """Pictures that nobody will finish or delete any more: their generation was closed before then, or never came to be.

    Three lines, each with an index of its own: begun or to be deleted; raw answers; and stored ones by their generations. Ids
    are in the order of time, those of pictures and of generations alike, so one id says how far the look came in all of them.
    """
    begun = await _page(session, _of_closed(before).where(_is_unfinished(before)), col(Asset.id), after, limit)
    raw = [col(Asset.role).in_(UNFINISHED_ROLES), Asset.state == AssetState.stored, _is_closed(before)]
    answers = await _page(session, _of_closed(before).where(*raw), col(Asset.id), after, limit)
    unsuccessful = select(Generation.id).where(
        col(Generation.status).in_(UNSUCCESSFUL), col(Generation.finished_at) < before
    )
    many = limit * GENERATIONS_PER_ROW
    generations = await _page(session, unsuccessful, col(Generation.id), after, many)
    late = await _stored_of(session, generations, before)
    ends = [rows[-1].id for rows in (begun, answers) if len(rows) == limit]
    ends += [generations[-1]] if len(generations) == many else []
    last = min(ends, default=None)
    places = [(row.id, row) for row in (*begun, *answers)] + [(row.generation_id or row.id, row) for row in late]
    found = {row.id: row for place, row in places if last is None or place <= last}
    return LeftBehind([found[asset_id] for asset_id in sorted(found)], last)


async def is_unfinished(session: AsyncSession, asset_id: UUID, *, before: datetime) -> bool:
    """Whether the picture still is one of those above."""
    # Stored by an attempt that did not know that its generation had been closed; or a raw answer after its purchase.
    unwanted = or_(col(Generation.status).in_(UNSUCCESSFUL), col(Asset.role).in_(UNFINISHED_ROLES))
    stored = and_(col(Asset.state) == AssetState.stored, _is_closed(before), unwanted)
    query = _of_closed(before).where(Asset.id == asset_id, or_(_is_unfinished(before), stored))
    return (await session.exec(query)).first() is not None


async def undo_has_begun(session: AsyncSession, generation_id: UUID) -> bool:
    """Whether a run has already taken back some of what it had made."""
    undone = select(Spend.id).where(Spend.generation_id == generation_id, Spend.error_code == GenerationCanceled.code)
    removed = select(Asset.id).where(
        Asset.generation_id == generation_id,
        Asset.role == AssetRole.picture,
        col(Asset.state).in_((AssetState.deleting, AssetState.deleted)),
    )
    found = await session.exec(select(or_(undone.exists(), removed.exists())))
    return bool(found.one())


def _of_closed(before: datetime) -> SelectOfScalar[Asset]:
    owner = col(Generation.id) == col(Asset.generation_id)
    return select(Asset).join(Generation, owner, isouter=True).where(Asset.created_at < before)


def _is_closed(before: datetime) -> Any:
    return and_(col(Generation.status).in_(CLOSED), col(Generation.finished_at) < before)


def _is_unfinished(before: datetime) -> Any:
    of_nobody = col(Asset.generation_id).is_(None)
    return and_(col(Asset.state).in_(UNFINISHED), or_(_is_closed(before), of_nobody))


async def _stored_of(session: AsyncSession, generations: Sequence[UUID], before: datetime) -> Sequence[Asset]:
    query = select(Asset).where(
        col(Asset.generation_id).in_(generations), Asset.state == AssetState.stored, Asset.created_at < before
    )
    return (await session.exec(query)).all()


async def _page(
    session: AsyncSession, query: SelectOfScalar[Any], key: Any, after: UUID | None, limit: int
) -> Sequence[Any]:
    if after is not None:
        query = query.where(key > after)
    return (await session.exec(query.order_by(key).limit(limit))).all()
