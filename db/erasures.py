"""Wishes to be forgotten: hidden at once, carried out by a workflow, and kept with their receipt when it is verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.erasures import ErasureSubject, Receipt
from db import audit, generations
from db.columns import now
from db.models import Generation
from db.protection_models import Erasure
from errors import NotFound

_COLUMN: Final = {ErasureSubject.session: Generation.session_id, ErasureSubject.user: Generation.user_id}


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose words and pictures are to go; `subject_hash` is what is kept of `subject_id` (contracts.receipts)."""

    tenant_id: UUID
    subject: ErasureSubject
    subject_id: str
    subject_hash: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A wish that is being carried out; `live`: the generations that were still running, which were asked to stop."""

    erasure: Erasure
    live: Sequence[Generation]


async def begin(session: AsyncSession, actor: audit.Actor, wish: Wish) -> Begun:
    """Hide all generations of the subject, the deleted ones among them, and ask the live ones to stop.

    A wish that is repeated before it was carried out is the same wish, with what came in between. One about somebody who
    is not there is carried out, too: that there is nothing is a receipt.
    """
    # Two at once about the same subject: the second one finds the first.
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(wish.subject_hash, 0))))
    erasure = await _under_way(session, wish) or await _new(session, actor, wish)
    found = await _hide(session, wish, erasure.id)
    live = [generation for generation in found if not generation.status.is_final]
    for generation in live:
        await generations.request_cancel(session, generation)
    facts: dict[str, Any] = {
        "of": wish.subject,
        "subject_hash": wish.subject_hash,
        "generations": len(found),
        "live": len(live),
    }
    about = ("erasure", str(erasure.id))
    await audit.record(session, actor, "erasure.requested", *about, tenant_id=wish.tenant_id, **facts)
    return Begun(erasure, live)


async def of_tenant(session: AsyncSession, tenant_id: UUID, erasure_id: UUID) -> Erasure:
    """A wish of this tenant. Raises NotFound."""
    erasure = await session.get(Erasure, erasure_id)
    if erasure is None or erasure.tenant_id != tenant_id:
        raise NotFound("There is no such erasure.")
    return erasure


async def locked(session: AsyncSession, erasure_id: UUID) -> Erasure:
    """The wish, to which nothing is added until the transaction ends."""
    return await session.get_one(Erasure, erasure_id, with_for_update=True)


async def verified(session: AsyncSession, erasure: Erasure, receipt: Receipt) -> None:
    """Nothing is left: keep the receipt."""
    erasure.receipt, erasure.verified_at = receipt.model_dump(mode="json"), receipt.verified_at
    session.add(erasure)
    counted = {"subject_hash", "generations", "objects_removed", "rows_redacted"}
    facts: dict[str, Any] = {"of": receipt.subject, **receipt.model_dump(include=counted)}
    about = ("erasure", str(erasure.id))
    await audit.record(session, audit.SERVICE, "erasure.verified", *about, tenant_id=erasure.tenant_id, **facts)


async def unverified(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[Erasure]:
    """Wishes from before then that are not carried out yet, oldest first."""
    query = select(Erasure).where(col(Erasure.verified_at).is_(None), Erasure.created_at < before)
    return (await session.exec(query.order_by(col(Erasure.id)).limit(limit))).all()


async def _under_way(session: AsyncSession, wish: Wish) -> Erasure | None:
    query = select(Erasure).where(
        Erasure.tenant_id == wish.tenant_id,
        Erasure.subject_hash == wish.subject_hash,
        col(Erasure.verified_at).is_(None),
    )
    return (await session.exec(query.order_by(col(Erasure.id)).limit(1).with_for_update())).first()


async def _new(session: AsyncSession, actor: audit.Actor, wish: Wish) -> Erasure:
    erasure = Erasure(
        tenant_id=wish.tenant_id, subject=wish.subject, subject_hash=wish.subject_hash, requested_by=actor.name
    )
    session.add(erasure)
    await session.flush()
    return erasure


async def _hide(session: AsyncSession, wish: Wish, erasure_id: UUID) -> Sequence[Generation]:
    # In one order with others who lock many.
    theirs = select(Generation.id).where(
        Generation.tenant_id == wish.tenant_id,
        _COLUMN[wish.subject] == wish.subject_id,
        col(Generation.erasure_id).is_(None),
    )
    here = theirs.order_by(col(Generation.id)).with_for_update()
    hidden = (
        update(Generation)
        .where(col(Generation.id).in_(here))
        .values(erasure_id=erasure_id, deleted_at=func.coalesce(Generation.deleted_at, now()))
        .returning(Generation)
    )
    return (await session.exec(hidden)).scalars().all()
