"""Queries on sessions: what a tenant grouped under one `session_id`. There is no table; a session is its generations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlmodel
from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, array
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import SessionDeletion
from contracts.statuses import AssetState, Status
from db import generations
from db.columns import now
from db.models import Asset, Generation


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session in figures: how many generations stand where, what they cost (USD), and the newest one."""

    session_id: str
    counts: dict[Status, int]
    cost_usd: Decimal
    newest_id: UUID
    first_created_at: datetime
    last_created_at: datetime


def _summaries(tenant_id: UUID) -> Select[Any]:
    newest = func.array_agg(aggregate_order_by(col(Generation.id), col(Generation.id).desc()))[1]
    counts = array([func.count().filter(col(Generation.status) == status) for status in Status])
    return (
        select(
            col(Generation.session_id),
            counts.label("counts"),
            func.coalesce(func.sum(Generation.cost_usd), 0).label("cost_usd"),
            newest.label("newest_id"),
            func.min(Generation.created_at).label("first_created_at"),
            func.max(Generation.created_at).label("last_created_at"),
        )
        .where(
            col(Generation.tenant_id) == tenant_id,
            col(Generation.session_id).is_not(None),
            col(Generation.deleted_at).is_(None),
        )
        .group_by(col(Generation.session_id))
    )


def _summary(row: Row[Any]) -> SessionSummary:
    return SessionSummary(
        session_id=row.session_id,
        counts={status: count for status, count in zip(Status, row.counts, strict=True) if count},
        cost_usd=row.cost_usd,
        newest_id=row.newest_id,
        first_created_at=row.first_created_at,
        last_created_at=row.last_created_at,
    )


async def page(session: AsyncSession, tenant_id: UUID, *, before: UUID | None, limit: int) -> Sequence[SessionSummary]:
    """Sessions by their newest generation, newest first; `before` is the newest id of the last session of the page before."""
    grouped = _summaries(tenant_id).subquery()
    query = select(grouped).order_by(grouped.c.newest_id.desc()).limit(limit)
    if before is not None:
        query = query.where(grouped.c.newest_id < before)
    connection = await session.connection()
    return [_summary(row) for row in (await connection.execute(query)).all()]


async def summary(session: AsyncSession, tenant_id: UUID, session_id: str) -> SessionSummary | None:
    """One session of the tenant; None when it has no generation."""
    query = _summaries(tenant_id).where(col(Generation.session_id) == session_id)
    connection = await session.connection()
    row = (await connection.execute(query)).first()
    return None if row is None else _summary(row)


async def delete(session: AsyncSession, tenant_id: UUID, session_id: str) -> Sequence[Generation]:
    """Hide the session's generations and ask the live ones to stop.

    Returns all of the session's generations, also those hidden before; an empty result: there never was such a session.
    Objects and asset rows are removed by the deletion workflow.
    """
    query = sqlmodel.select(Generation).where(Generation.tenant_id == tenant_id, Generation.session_id == session_id)
    found = (await session.exec(query.order_by(col(Generation.id)).with_for_update())).all()
    visible = [generation for generation in found if generation.deleted_at is None]
    await session.exec(
        update(Generation)
        .where(col(Generation.id).in_([generation.id for generation in visible]))
        .values(deleted_at=now())
    )
    for generation in visible:
        if not generation.status.is_final:
            await generations.request_cancel(session, generation)
    return found


async def undeleted(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[SessionDeletion]:
    """Sessions deleted before then that still have pictures: they were kept until now, or a late picture came in."""
    query = (
        select(col(Generation.tenant_id), col(Generation.session_id))
        .distinct()
        .join(Asset, col(Asset.generation_id) == col(Generation.id))
        .where(
            col(Generation.deleted_at) <= before,
            col(Generation.session_id).is_not(None),
            col(Generation.status).not_in(generations.LIVE),
            col(Asset.state) == AssetState.stored,
        )
        .limit(limit)
    )
    connection = await session.connection()
    rows = (await connection.execute(query)).all()
    return [
        SessionDeletion(tenant_id=tenant_id, session_id=session_id)
        for tenant_id, session_id in rows
        if session_id is not None
    ]
