"""Going on to another candidate: which were tried already, and the event that tells of it."""

from functools import cache
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.failover_words import failover_told
from contracts.pictures import Candidate
from contracts.replanning import ReplanOrder
from contracts.statuses import SpendState, Step
from db import events
from db.models import Event, Spend
from db.prepared import run, table_of
from errors import PurchaseNeverMade, PurchaseReplaced

FAILOVER = "picture.failover"
BOUGHT_AGAIN = (PurchaseReplaced.code, PurchaseNeverMade.code)


async def failed_models(session: AsyncSession, generation_id: UUID, step: Step) -> frozenset[tuple[str, str]]:
    """Provider and model of each purchase of the step that ended without a picture.

    An earlier run may have bought from others than the present plan names. Where people decided that it is bought once more,
    or the provider that it was never made, nothing has failed: the story goes on with that very model.
    """
    found = await run(session, without_picture(), {"generation_id": generation_id, "step": step})
    return frozenset((row.provider, row.model) for row in found)


@cache
def without_picture() -> Select[tuple[str, str]]:
    """What `failed_models` asks of a `generation_id` and a `step`; a measurement looks at its plan."""
    spend = table_of(Spend).c
    return select(spend.provider, spend.model).where(
        spend.generation_id == bindparam("generation_id"),
        spend.step == bindparam("step"),
        spend.state.in_((SpendState.released, SpendState.settled)),
        spend.asset_id.is_(None),
        func.coalesce(spend.error_code, "").not_in(BOUGHT_AGAIN),
    )


async def record(session: AsyncSession, order: ReplanOrder, chosen: Candidate) -> bool:
    """Tell that `chosen` is asked now; False: an earlier try of this activity has told it."""
    told = select_model(Event.data).where(Event.generation_id == order.generation_id, Event.type == FAILOVER)
    mark = {"step": order.step.value, "purchases": order.purchases}
    if any(mark.items() <= data.items() for data in (await session.exec(told)).all()):
        return False
    left = order.tried[-1]
    data = mark | {
        "from": {"provider": left.provider, "model": left.model},
        "to": {"provider": chosen.provider, "model": chosen.model},
        "why": order.failure.code,
        "message": failover_told(order.failure.code, left, chosen),
        "adjustments": [adjustment.model_dump() for adjustment in chosen.adjustments],
    }
    stage = f"{order.step}: going on with {chosen.provider}"
    await events.append(session, order.generation_id, FAILOVER, data, stage=stage)
    return True
