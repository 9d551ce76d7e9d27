"""A generation's life as its workflow writes it: opened, then closed; both harmless when repeated."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import Closing
from contracts.statuses import Status
from db import events, ledger
from db.models import Generation, now
from errors import GenerationCanceled, NotFound


async def read(session: AsyncSession, generation_id: UUID, *, lock: bool = False) -> Generation:
    """The generation's row. Raises NotFound."""
    query = select(Generation).where(Generation.id == generation_id)
    row = (await session.exec(query.with_for_update() if lock else query)).first()
    if row is None:
        raise NotFound
    return row


async def cancel_requested(session: AsyncSession, generation_id: UUID) -> bool:
    """Whether the client has asked to stop."""
    query = select(Generation.cancel_requested_at).where(Generation.id == generation_id)
    return (await session.exec(query)).one() is not None


async def read_live(session: AsyncSession, generation_id: UUID) -> Generation:
    """The row of a generation that is to be worked on. Raises GenerationCanceled when nobody wants it any more."""
    row = await read(session, generation_id)
    if row.cancel_requested_at is not None or row.status.is_final:
        raise GenerationCanceled
    return row


async def open_(session: AsyncSession, generation: Generation) -> None:
    """queued -> running."""
    moved = (
        update(Generation)
        .where(col(Generation.id) == generation.id, col(Generation.status) == Status.queued)
        .values(status=Status.running, started_at=now())
        .returning(col(Generation.id))
    )
    if (await session.exec(moved)).scalar_one_or_none() is not None:
        await events.append(session, generation.id, "generation.running", stage="starting")


async def close(session: AsyncSession, closing: Closing) -> Generation:
    """Write down how it ended, what it cost and its last event; a generation that has ended stays as it ended."""
    row = await read(session, closing.generation_id, lock=True)
    if row.status.is_final:
        return row
    row.status = Status(closing.outcome)
    row.finished_at = now()
    if row.status is not Status.needs_review:  # there the hold stays until people decide
        await ledger.close_open(session, row.id)
    row.cost_usd = await ledger.cost_of(session, row.id)
    row.result = _dump({"pictures": closing.pictures}) if closing.pictures else None
    row.error = closing.failure.model_dump(mode="json") if closing.failure else None
    row.rollback = _dump({"steps": closing.rollback})["steps"] if closing.rollback else None
    session.add(row)
    await session.flush()
    data: dict[str, Any] = {"cost_usd": str(row.cost_usd)}
    if row.result:
        data |= row.result
    if row.error:
        data["error"] = row.error
    if row.rollback:
        data["rollback"] = row.rollback
    done = 1.0 if row.status is Status.succeeded else None
    await events.append(session, row.id, f"generation.{row.status}", data, stage="", progress=done)
    return row


def _dump(models: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {name: [model.model_dump(mode="json") for model in group] for name, group in models.items()}
