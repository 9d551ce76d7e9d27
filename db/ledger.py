"""The ledger of purchases: claiming a spend, and moving it on along the state machine in db/transitions.py.

A move names the lease under which it is made. Whoever claims the row next gets a higher lease, and from then on the
earlier holder can change nothing: it gets LeaseLost.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Float, Integer, bindparam, exists, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.pictures import PictureOrder
from contracts.statuses import Billed, SpendState, Step
from db import transitions
from db.columns import now
from db.models import Spend
from db.prepared import as_model, run, table_of
from db.protection_models import ProviderCredential
from errors import LeaseLost

# Not columns, but what PostgreSQL reckons `lease_until` and `sends` from.
WINDOW, SENDS_BY = "window_s", "sends_by"
ENDED = (SpendState.settled, SpendState.released)
# A job that is adopted is asked about for at least so long: its purchase's own deadline is over by then.
ADOPTED_WAIT = timedelta(minutes=5)


class JobTaken(Exception):
    """The provider's job is another purchase's already."""


@dataclass(frozen=True, slots=True)
class PromptUsed:
    """The words that are sent, and which template they came from."""

    text: str
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What a generation has cost (USD). `own_keys_usd`: what of that the service does not pay."""

    cost_usd: Decimal
    own_keys_usd: Decimal


async def claim(session: AsyncSession, order: PictureOrder, prompt: PromptUsed) -> Spend:
    """The spend of this purchase under a new lease of ours: made when it is new, taken over when it is not.

    A purchase that has ended is returned as it is. One that is `sent` keeps its time limit, because until then the attempt
    that sent it may still be talking to the provider.
    """
    row = as_model(
        Spend, (await run(session, _claiming(), _fresh(order, prompt).model_dump())).mappings().one_or_none()
    )
    return row if row is not None else await _of_purchase(session, order)


@cache
def _claiming() -> Executable:
    table, theirs = table_of(Spend), table_of(ProviderCredential)
    brought = exists().where(theirs.c.tenant_id == bindparam("tenant_id"), theirs.c.provider == bindparam("provider"))
    return (
        insert(table)
        .values({column.name: bindparam(column.name) for column in table.c} | {"own_key": brought})
        .on_conflict_do_update(
            index_elements=["generation_id", "step", "purchase"],
            set_={"lease": table.c.lease + 1},
            where=table.c.state.not_in(ENDED),
        )
        .returning(table)
    )


def _fresh(order: PictureOrder, prompt: PromptUsed) -> Spend:
    return Spend(
        tenant_id=order.tenant_id,
        generation_id=order.generation_id,
        step=order.step,
        purchase=order.purchase,
        provider=order.candidate.provider,
        model=order.candidate.model,
        token=secrets.token_urlsafe(24),
        prompt=prompt.text,
        prompt_name=prompt.name,
        prompt_version=prompt.version,
        prompt_hash=prompt.sha256,
        hold_usd=order.candidate.max_usd,
        likely_usd=order.candidate.likely_usd,
        price_version=order.candidate.price_version,
        possible_duplicate=order.possible_duplicate,
        lease_until=now(),
        deadline_at=now() + timedelta(seconds=order.deadline_s),
    )


async def _of_purchase(session: AsyncSession, order: PictureOrder) -> Spend:
    query = select(Spend).where(
        Spend.generation_id == order.generation_id, Spend.step == order.step, Spend.purchase == order.purchase
    )
    return (await session.exec(query)).one()


async def take_over(session: AsyncSession, generation_id: UUID, step: Step) -> Sequence[Spend]:
    """All spends of a step that have not ended, under a new lease of ours: earlier attempts can change nothing more."""
    taken = (
        update(Spend)
        .where(col(Spend.generation_id) == generation_id, col(Spend.step) == step, col(Spend.state).not_in(ENDED))
        .values(lease=Spend.lease + 1)
        .returning(Spend)
    )
    return (await session.exec(taken)).scalars().all()


async def mark_sent(session: AsyncSession, spend: Spend, *, window_s: float) -> Spend:
    """held -> sent, right before the POST, which can arrive at the provider for at most `window_s` seconds.

    The window is kept by PostgreSQL's clock: those of two workers may differ.
    """
    values = {"sent_at": now(), SENDS_BY: 1, WINDOW: window_s}
    return await _move(session, spend, SpendState.sent, **values)


async def window_is_over(session: AsyncSession, spend: Spend) -> bool:
    """Whether the POST of whoever sent this purchase last can no longer arrive at the provider."""
    query = select(func.clock_timestamp() > Spend.lease_until).where(Spend.id == spend.id)
    return bool((await session.exec(query)).one())


async def mark_unsent(session: AsyncSession, spend: Spend, *, left_us: bool = True) -> Spend:
    """sent -> held: the provider certainly did not take it; `left_us` says whether the request went out at all."""
    return await _move(session, spend, SpendState.held, **{SENDS_BY: 0 if left_us else -1})


async def mark_submitted(
    session: AsyncSession,
    spend: Spend,
    *,
    job_id: str | None = None,
    raw_asset_id: UUID | None = None,
    cost_usd: Decimal | None = None,
) -> Spend:
    """sent -> submitted: bought; known by the provider's job id, or by the bytes that a synchronous provider gave.

    `cost_usd` is what a synchronous provider said it costs; a job's cost is known at its end. Raises JobTaken.
    """
    values = {"provider_job_id": job_id, "raw_asset_id": raw_asset_id, "cost_usd": cost_usd, "submitted_at": now()}
    try:
        return await _move(session, spend, SpendState.submitted, **values)
    except IntegrityError as error:
        raise JobTaken from error


async def settle(
    session: AsyncSession,
    spend: Spend,
    *,
    cost_usd: Decimal,
    billed: Billed = Billed.yes,
    asset_id: UUID | None = None,
    error_code: str | None = None,
    error_facts: Mapping[str, Any] | None = None,
) -> Spend:
    """-> settled: paid, with or without a picture."""
    values = {"cost_usd": cost_usd, "billed": billed, "asset_id": asset_id, "ended_at": now()}
    return await _move(
        session, spend, SpendState.settled, error_code=error_code, error_facts=_json(error_facts), **values
    )


async def release(
    session: AsyncSession, spend: Spend, *, error_code: str | None, error_facts: Mapping[str, Any] | None = None
) -> Spend:
    """Nothing is owed: the hold is given back."""
    values = {"cost_usd": Decimal(0), "billed": Billed.no, "ended_at": now()}
    return await _move(
        session, spend, SpendState.released, error_code=error_code, error_facts=_json(error_facts), **values
    )


def _json(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(facts) if facts else None


async def mark_unknown(
    session: AsyncSession,
    spend: Spend,
    *,
    error_code: str = "outcome_unknown",
    error_facts: Mapping[str, Any] | None = None,
) -> Spend:
    """It may have been bought, and nobody can be asked; the hold stays. A job id that it had was not its own."""
    values = {"billed": Billed.unknown, "provider_job_id": None, "error_code": error_code}
    return await _move(session, spend, SpendState.unknown, error_facts=_json(error_facts), **values)


async def adopt(session: AsyncSession, spend: Spend, *, job_id: str) -> Spend:
    """unknown -> submitted: it was bought when it was sent, and this is its job, as the provider will confirm."""
    deadline_at = max(spend.deadline_at, now() + ADOPTED_WAIT)
    values = {"provider_job_id": job_id, "submitted_at": spend.sent_at, "deadline_at": deadline_at}
    cleared = {"billed": None, "error_code": None, "error_facts": None}
    return await _move(session, spend, SpendState.submitted, **values, **cleared)


async def replace_earlier(session: AsyncSession, order: PictureOrder) -> None:
    """Settle the step's earlier purchases of unknown outcome: this one is bought instead, and they may be charged, too."""
    earlier = [
        col(Spend.generation_id) == order.generation_id,
        col(Spend.step) == order.step,
        col(Spend.purchase) < order.purchase,
        col(Spend.state) == SpendState.unknown,
    ]
    cost = func.coalesce(Spend.cost_usd, Spend.likely_usd, Spend.hold_usd)
    values = {"cost_usd": cost, "error_code": "purchase_replaced", "ended_at": now()}
    await session.exec(update(Spend).where(*earlier).values(state=SpendState.settled, lease=Spend.lease + 1, **values))


async def _move(session: AsyncSession, spend: Spend, to: SpendState, **values: Any) -> Spend:
    named = {f"new_{name}": value for name, value in values.items()}
    here = {"spend_id": spend.id, "our_lease": spend.lease}
    row = as_model(Spend, (await run(session, _moving(to, tuple(values)), named | here)).mappings().one_or_none())
    if row is None:
        raise LeaseLost
    return row


@cache
def _moving(to: SpendState, names: tuple[str, ...]) -> Executable:
    table = table_of(Spend)
    values: dict[str, Any] = {
        name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names if name not in {WINDOW, SENDS_BY}
    }
    if SENDS_BY in names:
        values["sends"] = table.c.sends + bindparam(f"new_{SENDS_BY}", type_=Integer)
    if WINDOW in names:
        seconds = bindparam(f"new_{WINDOW}", type_=Float)
        values["lease_until"] = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    here = [table.c.id == bindparam("spend_id"), table.c.lease == bindparam("our_lease")]
    came_from = table.c.state.in_(transitions.SPEND[to])
    return update(table).where(*here, came_from).values(state=to, **values).returning(table)


async def same_lease(session: AsyncSession, spend: Spend) -> Spend:
    """The row as it is now, if it is still ours. Raises LeaseLost."""
    query = select(Spend).where(Spend.id == spend.id, Spend.lease == spend.lease)
    row = (await session.exec(query)).first()
    if row is None:
        raise LeaseLost
    return row


async def close_open(session: AsyncSession, generation_id: UUID) -> None:
    """End what is still open when a generation ends: what may have been bought counts with its likely cost."""
    open_ = [col(Spend.generation_id) == generation_id, col(Spend.state).not_in(ENDED)]
    never_sent = col(Spend.state) == SpendState.held
    likely = func.coalesce(Spend.cost_usd, Spend.likely_usd, Spend.hold_usd)
    for condition, state, billed, cost in (
        (never_sent, SpendState.released, Billed.no, Decimal(0)),
        (~never_sent, SpendState.settled, Billed.unknown, likely),
    ):
        values = {"state": state, "billed": billed, "cost_usd": cost, "ended_at": now()}
        await session.exec(update(Spend).where(*open_, condition).values(lease=Spend.lease + 1, **values))


async def cost_of(session: AsyncSession, generation_id: UUID) -> Decimal:
    """What a generation has cost (USD), failed and repeated purchases included."""
    return (await costs_of(session, generation_id)).cost_usd


async def costs_of(session: AsyncSession, generation_id: UUID) -> Costs:
    """The same, and what of it was bought with the tenant's own provider keys."""
    whole = func.coalesce(func.sum(Spend.cost_usd), 0)
    by_own_keys = func.coalesce(func.sum(Spend.cost_usd).filter(col(Spend.own_key)), 0)
    query: Any = select(whole, by_own_keys).where(Spend.generation_id == generation_id)
    cost_usd, own_keys_usd = (await session.exec(query)).one()
    return Costs(Decimal(cost_usd), Decimal(own_keys_usd))
