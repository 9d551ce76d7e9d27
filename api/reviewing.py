"""Carrying out what an operator decided: ledger, audit log, event and the further run, in one transaction."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dispatcher import Dispatcher
from contracts.reviews import Decision, ReviewAction
from contracts.statuses import Billed, SpendState, Status
from db import budget_figures, events, ledger, lives, promises, reviews, tenants
from db.audit import Actor, record
from db.engine import Database
from db.models import Generation, Spend
from db.operation_models import OperatorAction
from engine.starts import GenerationStart
from errors import InvalidRequest, JobNotAdoptable, NoRoomToBuyAgain, NotInReview, PurchaseLost, PurchaseReplaced

log = structlog.get_logger(__name__)

ENDS_AS = {ReviewAction.accept_lost: PurchaseLost.code, ReviewAction.resubmit: PurchaseReplaced.code}
WHERE = {"promise": "what was promised for the generation", "provider": "the provider's budget"}


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of it. `undecided`: so many purchases of the generation still wait."""

    action: OperatorAction
    generation: Generation
    undecided: int


class Reviewer:
    """Decides about purchases in review. `with_jobs`: the providers that can be asked about a job."""

    def __init__(self, *, database: Database, dispatcher: Dispatcher, with_jobs: frozenset[str]) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._with_jobs = with_jobs

    def may_adopt(self, spend: Spend) -> bool:
        """Whether the provider of this purchase has jobs at all."""
        return spend.provider in self._with_jobs

    async def decide(self, actor: Actor, key_id: str, spend_id: UUID, decision: Decision) -> Decided:
        """Carry out a decision, once: the same operator's same decision is answered again. `key_id`: the operator's key.

        Raises NotFound, NotInReview, JobNotAdoptable, NoRoomToBuyAgain, InvalidRequest, DatabaseUnavailable; then nothing has
        changed.
        """
        async with self._database.transaction("review.decided") as session:
            generation, spend = await reviews.locked(session, spend_id)
            action = _action(key_id, spend, decision)
            waits = spend.state is SpendState.unknown and generation.status is Status.needs_review
            if waits:
                await self._carry_out(session, generation, spend, decision)
                session.add(action)
                about = ("purchase", str(spend.id))
                tenant_id = generation.tenant_id
                facts = {"decision": action.action, "generation_id": generation.id, **action.facts}
                await record(
                    session, actor, "purchase.resolved", *about, tenant_id=tenant_id, note=action.note, **facts
                )
                await events.append(session, generation.id, "purchase.resolved", _told(spend, decision))
            else:
                action = await _repeated(session, spend, action)
            undecided = await reviews.undecided(session, generation.id)
            if waits and not undecided:
                await lives.reopen(session, generation.id, "operator_decided")
            await session.refresh(generation)
            weights = await tenants.weights(session, {generation.tenant_id})
        log.info("review.decided", spend=str(spend_id), action=action.action, key=key_id, undecided=undecided)
        if generation.status is Status.queued:
            self._dispatcher.start_soon(GenerationStart.of(generation, weight=weights[generation.tenant_id]))
        return Decided(action, generation, undecided)

    async def _carry_out(self, session: AsyncSession, generation: Generation, spend: Spend, decision: Decision) -> None:
        if decision.job_id is not None:
            await self._adopt(session, spend, decision.job_id)
            return
        cost = _expected(spend) if decision.cost_usd is None else decision.cost_usd
        if cost > spend.hold_usd:
            raise InvalidRequest("cost_usd is more than was held for the purchase.", hold_usd=str(spend.hold_usd))
        code = ENDS_AS[decision.action]
        await ledger.settle(session, spend, cost_usd=cost, billed=Billed.unknown, error_code=code)
        if decision.action is ReviewAction.resubmit:
            await _check_room(session, generation, spend)

    async def _adopt(self, session: AsyncSession, spend: Spend, job_id: str) -> None:
        """Take the id down as the purchase's; the further run asks the provider about it."""
        if not self.may_adopt(spend):
            raise JobNotAdoptable(f"{spend.provider} has no jobs that could be asked about.")
        await reviews.lock_job(session, spend.provider, job_id)
        owner = await reviews.owner_of(session, spend.provider, job_id)
        if owner is not None:
            raise JobNotAdoptable("The job belongs to another purchase.", purchase_id=str(owner))
        await ledger.adopt(session, spend, job_id=job_id)


async def _check_room(session: AsyncSession, generation: Generation, spend: Spend) -> None:
    """Raises NoRoomToBuyAgain: the further run would only fail, and take back the pictures that there are."""
    rooms = {"promise": await promises.left_usd(session, generation)}
    at_provider = None if spend.own_key else await budget_figures.room_at(session, spend.provider)
    if at_provider is not None:
        rooms["provider"] = at_provider
    of, left_usd = min(rooms.items(), key=lambda room: room[1])
    if spend.hold_usd > left_usd:
        money = {"left_usd": f"{max(Decimal(0), left_usd):.6f}", "wanted_usd": f"{spend.hold_usd:.6f}"}
        told = f"Once more it may cost {money['wanted_usd']} USD, and {money['left_usd']} USD are left of {WHERE[of]}."
        raise NoRoomToBuyAgain(told, of=of, **money)


def _expected(spend: Spend) -> Decimal:
    return spend.hold_usd if spend.likely_usd is None else spend.likely_usd


def _action(key_id: str, spend: Spend, decision: Decision) -> OperatorAction:
    facts: dict[str, Any] = decision.model_dump(mode="json", include={"job_id", "cost_usd"}, exclude_none=True)
    facts |= {"provider": spend.provider, "step": spend.step, "purchase": spend.purchase}
    return OperatorAction(
        key_id=key_id,
        action=decision.action,
        generation_id=spend.generation_id,
        spend_id=spend.id,
        note=decision.note,
        facts=facts,
    )


async def _repeated(session: AsyncSession, spend: Spend, action: OperatorAction) -> OperatorAction:
    """The same action, if it was the last one on this purchase: its answer was lost on the way. Raises NotInReview."""
    last = await reviews.last_action(session, spend.id)
    same = ("key_id", "action", "note", "facts")
    if last is None or any(getattr(last, name) != getattr(action, name) for name in same):
        raise NotInReview(f"The purchase is {spend.state}.", state=spend.state.value)
    return last


def _told(spend: Spend, decision: Decision) -> dict[str, Any]:
    """What the client may know of a decision: its note and its job are for operators."""
    return {"step": spend.step, "provider": spend.provider, "purchase": spend.purchase, "action": decision.action}
