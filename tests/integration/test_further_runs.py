"""A further run of a generation, through the real activities: the ledger and what was decided lead it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.generations import GenerationActivities
from activities.planning import Planner
from contracts.pictures import Closing, GenerationInput, Opened, PictureOrder
from contracts.statuses import Billed, Kind, SpendState, Status, Step
from db import events, ledger, lives, sessions
from db.models import Generation, Spend
from errors import JobNotFound, OutcomeUnknown, ProviderError, PurchaseLost, PurchaseReplaced
from providers.base import JobReport, RemoteFile
from providers.catalog import Catalog
from tests.integration.conftest import Tables
from tests.integration.test_buying import UNKNOWABLE, Scripted
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_making import PNG, Workshop, at_once

DONE = JobReport(job_id="job-7", state="succeeded", outputs=(RemoteFile("https://x/y.png"),))
GONE = JobReport(job_id="job-7", state="canceled")


class WithJobs(Scripted):
    """A provider whose answers to purchases are lost, and that knows one job, or denies it."""

    def __init__(self, job: JobReport | ProviderError) -> None:
        super().__init__([OutcomeUnknown()], [UNKNOWABLE])
        self._job = job
        self.canceled: list[str] = []

    async def poll(self, job_id: str) -> JobReport:
        if isinstance(self._job, ProviderError):
            raise self._job
        return self._job

    async def cancel(self, job_id: str) -> JobReport:
        self.canceled.append(job_id)
        return await self.poll(job_id)

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        return PNG.body


async def in_review(shop: Workshop) -> PictureOrder:
    """A generation whose purchase has an unknown outcome, closed for people to decide."""
    order = await shop.order()
    async with shop.tables.database.transaction() as session:
        await lives.open_(session, await lives.read(session, order.generation_id))
    with pytest.raises(ApplicationError) as lost:
        await shop.make(order)
    assert lost.value.type == "outcome_unknown"
    async with shop.tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
    return order


async def purchases(session: AsyncSession, generation_id: UUID) -> Sequence[Spend]:
    query = select(Spend).where(Spend.generation_id == generation_id).order_by(col(Spend.purchase))
    return (await session.exec(query)).all()


async def row_of(tables: Tables, order: PictureOrder) -> Spend:
    async with tables.database.transaction() as session:
        return (await purchases(session, order.generation_id))[order.purchase]


async def adopt(tables: Tables, order: PictureOrder, job_id: str = "job-7") -> None:
    async with tables.database.transaction() as session:
        (spend,) = await purchases(session, order.generation_id)
        await ledger.adopt(session, spend, job_id=job_id)
        assert await lives.reopen(session, order.generation_id, "operator_decided")


async def settle(tables: Tables, order: PictureOrder, code: str) -> None:
    async with tables.database.transaction() as session:
        (spend,) = await purchases(session, order.generation_id)
        how: dict[str, Any] = {"billed": Billed.unknown, "error_code": code}
        await ledger.settle(session, spend, cost_usd=Decimal("0.05"), **how)
        assert await lives.reopen(session, order.generation_id, "operator_decided")


async def test_an_adopted_job_gives_the_picture_and_nothing_is_bought_again(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(DONE))
    order = await in_review(shop)
    await adopt(tables, order)
    made = await shop.make(order)
    spend = await row_of(tables, order)

    assert (spend.state, spend.billed, spend.asset_id) == (SpendState.settled, Billed.yes, made.asset.asset_id)
    assert spend.provider_job_id == "job-7"
    assert len(shop.provider.sent) == 1


async def test_an_adopted_job_that_its_provider_denies_is_in_review_again_and_paid_by_nobody(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(JobNotFound()))
    order = await in_review(shop)
    await adopt(tables, order)
    failures = []
    for _ in range(2):  # the second attempt finds on the ledger what the first one wrote
        with pytest.raises(ApplicationError) as caught:
            await shop.make(order)
        failures.append((caught.value.type, caught.value.message, caught.value.non_retryable))
    spend = await row_of(tables, order)

    detail = "The provider does not know the job that was taken for this purchase's."
    assert failures == [("outcome_unknown", detail, True)] * 2
    assert (spend.state, spend.provider_job_id, spend.cost_usd) == (SpendState.unknown, None, None)
    assert (spend.error_code, spend.error_facts) == ("job_not_found", {"job_id": "job-7"})
    assert len(shop.provider.sent) == 1


async def test_a_purchase_whose_job_was_denied_can_be_decided_once_more(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(JobNotFound()))
    order = await in_review(shop)
    await adopt(tables, order)
    with pytest.raises(ApplicationError):
        await shop.make(order)
    shop.provider = right = WithJobs(DONE)
    shop = Workshop(tables, right)
    async with tables.database.transaction() as session:
        spend = await row_of(tables, order)
        await ledger.adopt(session, spend, job_id="job-8")
    await shop.make(order)
    spend = await row_of(tables, order)

    assert (spend.state, spend.error_code, spend.error_facts) == (SpendState.settled, None, None)


async def test_an_undo_of_a_job_that_its_provider_denies_says_what_is_not_known(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(JobNotFound()))
    order = await in_review(shop)
    await adopt(tables, order)
    report = await shop.undo(order)

    assert len(report.remaining) == 1
    assert "not known" in report.remaining[0]


@pytest.mark.parametrize("decided", [PurchaseLost, PurchaseReplaced])
async def test_a_decision_is_told_to_the_story_as_the_purchases_end(
    tables: Tables, decided: type[ProviderError]
) -> None:
    shop = Workshop(tables, WithJobs(DONE))
    order = await in_review(shop)
    await settle(tables, order, decided.code)
    with pytest.raises(ApplicationError) as caught:
        await shop.make(order)

    assert (caught.value.type, caught.value.non_retryable) == (decided.code, True)
    assert len(shop.provider.sent) == 1


async def test_what_a_generation_costs_after_a_further_run_is_what_all_of_its_purchases_cost(tables: Tables) -> None:
    shop = Workshop(tables, at_once(OutcomeUnknown(), PNG))
    order = await in_review(shop)
    await settle(tables, order, PurchaseReplaced.code)
    again = order.model_copy(update={"purchase": 1, "possible_duplicate": True})
    async with tables.database.transaction() as session:
        await lives.open_(session, await lives.read(session, order.generation_id))
    made = await shop.make(again)
    async with tables.database.transaction() as session:
        closing = Closing(generation_id=order.generation_id, run=2, outcome="succeeded", pictures=(made,))
        row = await lives.close(session, closing)
        bought = await purchases(session, order.generation_id)

    assert row.status is Status.succeeded
    assert row.cost_usd == Decimal("0.05") + made.cost_usd
    assert [spend.possible_duplicate for spend in bought] == [False, True]


async def test_buying_once_more_settles_the_purchase_of_which_nobody_knows(tables: Tables) -> None:
    generation = await a_generation(tables)
    first, second = an_order(generation, 0), an_order(generation, 1)
    spend = await claimed(tables, first)
    async with tables.database.transaction() as session:
        await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=1))
        await ledger.replace_earlier(session, second.model_copy(update={"possible_duplicate": True}))
    replaced = await row_of(tables, first)

    assert (replaced.state, replaced.billed, replaced.cost_usd) == (SpendState.settled, Billed.unknown, spend.hold_usd)
    assert replaced.error_code == PurchaseReplaced.code


async def test_a_further_run_is_closed_and_told_as_the_first_one_was(tables: Tables) -> None:
    shop = Workshop(tables, at_once(OutcomeUnknown()))
    order = await in_review(shop)
    async with tables.database.transaction() as session:
        before = await lives.read(session, order.generation_id)
    await settle(tables, order, PurchaseLost.code)
    async with tables.database.transaction() as session:
        reopened = await lives.read(session, order.generation_id)
        await lives.open_(session, reopened)
        await lives.close(session, Closing(generation_id=order.generation_id, run=2, outcome="failed"))
        stays = Closing(generation_id=order.generation_id, run=2, outcome="canceled")
        await lives.close(session, stays)
        row = await lives.read(session, order.generation_id)
        told = [event.type for event in await events.after(session, order.generation_id, 0)]

    assert (reopened.status, reopened.run, reopened.finished_at, reopened.cost_usd) == (Status.queued, 2, None, None)
    assert (row.status, row.started_at, row.cost_usd) == (Status.failed, before.started_at, Decimal("0.05"))
    assert [kind for kind in told if kind.startswith("generation.")] == [
        "generation.queued",
        "generation.running",
        "generation.needs_review",
        "generation.reopened",
        "generation.running",
        "generation.failed",
    ]


def opening(tables: Tables) -> GenerationActivities:
    planner = Planner(Catalog.load(), configured=frozenset({"replicate"}), review_above_usd=Decimal(1))
    return GenerationActivities(database=tables.database, planner=planner, heartbeat_s=20)


async def opened(tables: Tables, generation: Generation) -> Opened:
    async with tables.database.transaction() as session:
        run = (await lives.read(session, generation.id)).run
    given = GenerationInput(generation_id=generation.id, tenant_id=generation.tenant_id, kind=Kind.avatar, run=run)
    plan: Opened = await ActivityEnvironment().run(opening(tables).open, given)
    return plan


async def test_a_generation_whose_session_was_deleted_in_review_is_not_worked_on_again(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(GONE))
    order = await in_review(shop)
    async with tables.database.transaction() as session:
        row = await session.get_one(Generation, order.generation_id)
        row.session_id = "evening"
    async with tables.database.transaction() as session:
        await sessions.delete(session, tables.tenant_id, "evening")
    await adopt(tables, order)
    async with tables.database.transaction() as session:
        row = await lives.read(session, order.generation_id)

    plan = await opened(tables, row)

    assert (plan.canceled, plan.steps, plan.begun) == (True, (), (Step.avatar,))


async def test_a_first_run_has_nothing_begun_and_a_further_one_knows_what_was(tables: Tables) -> None:
    shop = Workshop(tables, WithJobs(DONE))
    fresh = await opened(tables, await _row(tables, await shop.order()))
    order = await in_review(shop)
    await adopt(tables, order)
    further = await opened(tables, await _row(tables, order))

    assert (fresh.begun, [step.step for step in fresh.steps]) == ((), [Step.avatar])
    assert (further.begun, [step.step for step in further.steps]) == ((Step.avatar,), [Step.avatar])


async def _row(tables: Tables, order: PictureOrder) -> Generation:
    async with tables.database.transaction() as session:
        return await lives.read(session, order.generation_id)
