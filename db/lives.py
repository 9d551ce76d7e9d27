"""A generation's life as its workflow writes it: opened, then closed; both harmless when repeated."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, bindparam, func, select, update
from sqlmodel import col
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import Closing
from contracts.statuses import AssetRole, AssetState, Status, Step
from db import deliveries, events, ledger, transitions
from db.columns import now
from db.ledger import Costs
from db.models import Asset, Generation, Spend
from db.prepared import as_model, run, table_of
from errors import GenerationCanceled, NotFound

WRITTEN_AT_THE_END = ("status", "finished_at", "hold_usd", "cost_usd", "own_keys_usd", "result", "error", "rollback")


async def read(session: AsyncSession, generation_id: UUID, *, lock: bool = False, hold: bool = False) -> Generation:
    """The generation's row. Raises NotFound.

    `lock` keeps all others from writing to it, `hold` from closing or reopening it, until the transaction ends.
    """
    found = await run(session, _reading(lock, hold), {"generation_id": generation_id})
    row = as_model(Generation, found.mappings().one_or_none())
    if row is None:
        raise NotFound
    return row


async def cancel_requested(session: AsyncSession, generation_id: UUID) -> bool:
    """Whether the client has asked to stop."""
    query = select_model(Generation.cancel_requested_at).where(Generation.id == generation_id)
    return (await session.exec(query)).one() is not None


async def read_live(session: AsyncSession, generation_id: UUID) -> Generation:
    """The row of a generation that is to be worked on, which cannot be closed before this transaction has ended.

    Raises GenerationCanceled when nobody wants it any more.
    """
    row = await read(session, generation_id, hold=True)
    if is_unwanted(row) or row.status.is_final:
        raise GenerationCanceled
    return row


def is_unwanted(generation: Generation) -> bool:
    """Whether its client asked to stop it, or deleted the session it belongs to."""
    return generation.cancel_requested_at is not None or generation.deleted_at is not None


async def begun(session: AsyncSession, generation_id: UUID) -> tuple[Step, ...]:
    """The steps that earlier runs have begun, in that order: they have purchases, or pictures that are not deleted."""
    bought = select_model(Spend.step, Spend.id).where(Spend.generation_id == generation_id)
    left = [Asset.generation_id == generation_id, Asset.state != AssetState.deleted]
    kept = select_model(Asset.step, Asset.id).where(*left)
    found = [*(await session.exec(bought)).all(), *(await session.exec(kept)).all()]
    return tuple(dict.fromkeys(Step(step) for step, _ in sorted(found, key=lambda pair: pair[1])))


async def open_(session: AsyncSession, generation: Generation) -> None:
    """queued -> running."""
    opened = await run(session, _opening(), {"generation_id": generation.id, "moment": now()})
    if opened.one_or_none() is not None:
        await events.append(session, generation.id, "generation.running", stage="starting")


async def count_progress(session: AsyncSession, generation_id: UUID, *, pictures: int) -> None:
    """How far a generation is whose `pictures` are made side by side: by those that are stored.

    The transaction must have its row locked already, so that two that end at the same moment count each other.
    """
    stored = (
        select(func.count())
        .select_from(table_of(Asset))
        .where(
            col(Asset.generation_id) == generation_id,
            col(Asset.role) == AssetRole.picture,
            col(Asset.state) == AssetState.stored,
        )
        .scalar_subquery()
    )
    counted = update(Generation).where(col(Generation.id) == generation_id)
    await session.exec(counted.values(progress=func.least(1.0, stored * 1.0 / pictures)))


async def reopen(session: AsyncSession, generation_id: UUID, why: str) -> bool:
    """Have the story told once more, by a run of its own: the ledger keeps it from buying anything again.

    False when the generation is in a state that does not lead there. `why` is a word for the event.
    """
    here = [col(Generation.id) == generation_id, col(Generation.status).in_(transitions.GENERATION[Status.queued])]
    again = {"status": Status.queued, "run": Generation.run + 1, "dispatched_at": None, "finished_at": None}
    ended = {"cost_usd": None, "own_keys_usd": 0, "result": None, "error": None, "rollback": None}
    promised = {"hold_usd": Generation.quote_max_usd}  # what it has cost so far is part of that
    reopened = update(Generation).where(*here).values(**again, **ended, **promised)
    changed = await session.exec(reopened.returning(col(Generation.run), col(Generation.tenant_id)))
    row = changed.one_or_none()
    if row is None:
        return False
    kind = events.REOPENED
    seq = await events.append(session, generation_id, kind, {"why": why, "run": row.run}, stage="queued again")
    await deliveries.announce(
        session, tenant_id=row.tenant_id, generation_id=generation_id, event_seq=seq, event_type=kind
    )
    return True


async def close(session: AsyncSession, closing: Closing) -> Generation:
    """Write down how it ended, what it cost and its last event; a generation that has ended stays as it ended.

    A run that closes once more, after another one was begun, changes nothing.
    """
    row = await read(session, closing.generation_id, lock=True)
    if row.status.is_final or row.run != closing.run:
        return row
    if closing.outcome != Status.needs_review:  # there the hold stays until people decide
        await ledger.close_open(session, row.id)
    row.status = Status(closing.outcome)
    row.finished_at = now()
    costs = await ledger.costs_of(session, row.id)
    row.cost_usd, row.own_keys_usd = costs.cost_usd, not_ours(row.status, costs)
    row.hold_usd = still_promised(row.status, promised_usd=row.quote_max_usd, cost_usd=row.cost_usd)
    row.result = _dump({"pictures": closing.pictures}) if closing.pictures else None
    row.error = closing.failure.model_dump(mode="json") if closing.failure else None
    row.rollback = _dump({"steps": closing.rollback})["steps"] if closing.rollback else None
    written = {f"new_{name}": getattr(row, name) for name in WRITTEN_AT_THE_END}
    await run(session, _closing(), {"generation_id": row.id} | written)
    data: dict[str, Any] = {"cost_usd": str(row.cost_usd)}
    if row.result:
        data |= row.result
    if row.error:
        data["error"] = row.error
    if row.rollback:
        data["rollback"] = row.rollback
    done = 1.0 if row.status is Status.succeeded else None
    kind = f"generation.{row.status}"
    seq = await events.append(session, row.id, kind, data, stage="", progress=done, ended=True)
    await deliveries.announce(session, tenant_id=row.tenant_id, generation_id=row.id, event_seq=seq, event_type=kind)
    return row


def still_promised(status: Status, *, promised_usd: Decimal, cost_usd: Decimal) -> Decimal:
    """What counts against budgets, beside the cost, of a generation that has ended (USD).

    Nothing, but where people decide: it may go on, up to the price that was promised for it.
    """
    return max(Decimal(0), promised_usd - cost_usd) if status is Status.needs_review else Decimal(0)


def not_ours(status: Status, costs: Costs) -> Decimal:
    """What of the cost the system's budgets do not count (USD), as the tenant pays it at the provider.

    Nothing where people decide: it may go on, and then counts with its whole price again.
    """
    return Decimal(0) if status is Status.needs_review else costs.own_keys_usd


@cache
def _reading(lock: bool, hold: bool) -> Executable:
    table = table_of(Generation)
    query = select(table).where(table.c.id == bindparam("generation_id"))
    return query.with_for_update(read=not lock) if lock or hold else query


@cache
def _opening() -> Executable:
    table = table_of(Generation)
    here = [table.c.id == bindparam("generation_id"), table.c.status == Status.queued]
    moment = func.coalesce(table.c.started_at, bindparam("moment", type_=table.c.created_at.type))
    return update(table).where(*here).values(status=Status.running, started_at=moment).returning(table.c.id)


@cache
def _closing() -> Executable:
    table = table_of(Generation)
    values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in WRITTEN_AT_THE_END}
    return update(table).where(table.c.id == bindparam("generation_id")).values(values)


async def has_ended(session: AsyncSession, generation_id: UUID) -> bool:
    """Whether nothing more will happen to it without people; True for one that is not there."""
    row = (await run(session, _status(), {"generation_id": generation_id})).one_or_none()
    return row is None or Status(row.status).is_final


@cache
def _status() -> Executable:
    table = table_of(Generation)
    return select(table.c.status).where(table.c.id == bindparam("generation_id"))


def _dump(models: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {name: [model.model_dump(mode="json") for model in group] for name, group in models.items()}
