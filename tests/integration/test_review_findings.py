"""What a review of the ledger, the further runs and the reconciler found: each test states what must hold."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import keeping, reconciling
from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.check import PAGE, Check, Found, ReconcilingRules, Stray
from activities.reconciliation.inquiry import Inquiry
from activities.reconciliation.purchases_to_adopt import PurchasesToAdopt
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from activities.waiting import Waiter, WaitingRules
from contracts.names import workflow_id
from contracts.pictures import Closing
from contracts.reconciliation import CheckOrder, CheckReport, FindingAction
from contracts.statuses import AssetState, SpendState, Status
from db import assets, generations, ledger, lives, retention, sessions, strays
from db.models import Spend, now
from errors import ProviderUnavailable
from providers.base import FinishedPicture, ImageProvider, JobReport, LostJob
from providers.catalog import Catalog
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_buying import ABSENT, FAST, UNKNOWABLE, Scripted
from tests.integration.test_further_runs import DONE, WithJobs, adopt, in_review
from tests.integration.test_ledger import PROMPT, a_generation, an_order
from tests.integration.test_making import PNG, Workshop, at_once


NOT_A_PICTURE = FinishedPicture(body=b"GIF89a...", content_type="application/octet-stream")
# The engine warns of payloads above this size, and refuses those above eight times as much.
LARGE_PAYLOAD_BYTES = 256 * 1024
LONG_ENOUGH_S = 0.5  # for a step that cannot go on, because the one under test holds what it needs


# Further runs


async def test_an_earlier_run_that_closes_once_more_does_not_end_the_further_run(tables: Tables) -> None:
    """A local activity whose commit was made and whose worker died is executed again, here after the reopening."""
    shop = Workshop(tables, WithJobs(DONE))
    order = await in_review(shop)
    await adopt(tables, order)
    async with tables.database.transaction() as session:
        await lives.open_(session, await lives.read(session, order.generation_id))
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
    async with tables.database.transaction() as session:
        generation = await lives.read(session, order.generation_id)

    assert (generation.status, workflow_id(generation.id, generation.run)[-2:]) == (Status.running, "/2")


async def test_a_picture_costs_what_its_own_model_costs_although_the_plan_names_another_by_now(tables: Tables) -> None:
    used, newer = [entry.model for entry in Catalog.load().models if entry.provider == "replicate"][:2]
    costs = []
    for named_later in (used, newer):
        shop = Workshop(tables, WithJobs(DONE))
        order = await in_review(shop)
        assert order.candidate.model == used
        await adopt(tables, order)
        candidate = order.candidate.model_copy(update={"model": named_later})
        costs.append((await shop.make(order.model_copy(update={"candidate": candidate}))).cost_usd)

    assert costs[0] == costs[1]


# Two transactions at once


async def test_a_closed_generation_costs_what_its_purchases_cost_although_one_was_claimed_meanwhile(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    closing: list[asyncio.Task[Any]] = []
    real = ledger.claim

    async def close() -> None:
        async with tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    async def claim_while_it_is_closed(*given: Any) -> Spend:
        closing.append(asyncio.create_task(close()))
        await asyncio.wait(closing, timeout=LONG_ENOUGH_S)
        return await real(*given)

    monkeypatch.setattr(ledger, "claim", claim_while_it_is_closed)
    await asyncio.gather(shop.make(order), return_exceptions=True)
    await asyncio.gather(*closing)
    async with tables.database.transaction() as session:
        generation = await lives.read(session, order.generation_id)
        spent = await ledger.cost_of(session, order.generation_id)

    assert generation.status is Status.failed
    assert generation.cost_usd == spent


async def test_a_picture_that_is_stored_while_its_generation_is_closed_and_the_closing_do_not_deadlock(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    has_purchase, has_generation = asyncio.Event(), asyncio.Event()
    real_mark, real_close_open = assets.mark, ledger.close_open

    async def mark(session: AsyncSession, asset_id: UUID, state: AssetState) -> bool:
        if await _is_a_settling(session, order.generation_id):
            has_purchase.set()
            await _passed(has_generation)
        return await real_mark(session, asset_id, state)

    async def close_open(session: AsyncSession, generation_id: UUID) -> None:
        has_generation.set()
        await real_close_open(session, generation_id)

    async def close() -> None:
        await _passed(has_purchase)
        async with tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    monkeypatch.setattr(assets, "mark", mark)
    monkeypatch.setattr(ledger, "close_open", close_open)
    ends = await asyncio.gather(shop.make(order), close(), return_exceptions=True)

    assert has_purchase.is_set()
    assert [end for end in ends if isinstance(end, DBAPIError)] == []


async def _is_a_settling(session: AsyncSession, generation_id: UUID) -> bool:
    here = [Spend.generation_id == generation_id, Spend.state == SpendState.settled]
    return (await session.exec(select(Spend.id).where(*here))).first() is not None


async def _passed(bell: asyncio.Event) -> None:
    """Wait for the bell, but not for ever: with an order of locks that is right, it cannot ring."""
    await asyncio.wait({asyncio.ensure_future(bell.wait())}, timeout=LONG_ENOUGH_S)


# Paid pictures


async def test_a_paid_answer_that_lies_in_the_store_is_found_by_the_next_attempt(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The end of a process between the put and the commit that follows it."""

    async def die(*_given: Any, **_named: Any) -> Spend:
        raise Killed

    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    with monkeypatch.context() as patch:
        patch.setattr(keeping, "record_submitted", die)
        with pytest.raises(Killed):
            await shop.make(order)
    assert len(await shop.keys()) == 1

    await shop.make(order)
    assert len(shop.provider.sent) == 1


async def test_a_second_purchase_whose_answer_has_the_same_bytes_is_settled_as_paid_like_the_first(
    tables: Tables,
) -> None:
    shop = Workshop(tables, at_once(NOT_A_PICTURE, NOT_A_PICTURE))
    order = await shop.order()
    ends = []
    for purchase in (0, 1):  # a broken picture is bought once more
        with pytest.raises(ApplicationError) as caught:
            await shop.make(order.model_copy(update={"purchase": purchase}))
        ends.append((caught.value.type, caught.value.non_retryable))

    assert ends == [("output_corrupt", True)] * 2


# Adopting


class Answers(Scripted):
    """A provider that answers each look-up by the purchase's token."""

    def __init__(self, by_token: dict[str, LostJob | ProviderUnavailable] | None = None) -> None:
        super().__init__([])
        self.by_token = by_token or {}

    async def find_lost(self, token: str, sent_at: Any) -> LostJob:
        answer = self.by_token[token]
        if isinstance(answer, ProviderUnavailable):
            raise answer
        return answer


class ReviewDesk:
    """The check that adopts, over a provider of the test's own, so that it meets no purchases of other tests."""

    def __init__(self, tables: Tables, name: str) -> None:
        self.tables = tables
        self.name = name
        self.provider = Answers()
        providers = {name: self.provider}
        keeper = Keeper(tables.database, MemoryStorage(), providers, KeepingRules())
        buyer = Buyer(tables.database, providers, keeper, FAST)
        waiter = Waiter(tables.database, providers, WaitingRules(first_s=0.01))
        inquiry = Inquiry(tables.database, providers, buyer, waiter, timedelta(minutes=55))
        self.check = PurchasesToAdopt(tables.database, inquiry, ReconcilingRules())

    async def in_review(self, answer: LostJob, *, window_s: float = -1) -> Spend:
        order = an_order(await a_generation(self.tables))
        candidate = order.candidate.model_copy(update={"provider": self.name})
        async with self.tables.database.transaction() as session:
            await lives.open_(session, await lives.read(session, order.generation_id))
            spend = await ledger.claim(session, order.model_copy(update={"candidate": candidate}), PROMPT)
            spend = await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=window_s))
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
        self.provider.by_token[spend.token] = answer
        return spend

    async def row(self, spend: Spend) -> Spend:
        async with self.tables.database.transaction() as session:
            return await session.get_one(Spend, spend.id)

    async def round(self) -> None:
        for stray in (await self.check.find("")).strays:
            await self.check.mend(stray)


def found(job_id: str) -> LostJob:
    return LostJob(JobReport(job_id=job_id, state="succeeded"), conclusive=True)


async def test_a_purchase_that_cannot_be_judged_yet_does_not_keep_others_from_being_adopted(tables: Tables) -> None:
    desk = ReviewDesk(tables, "one-is-on-its-way")
    await desk.in_review(ABSENT, window_s=60)
    other = await desk.in_review(found("job-of-the-other"))
    await asyncio.gather(desk.round(), return_exceptions=True)

    assert (await desk.row(other)).state is SpendState.submitted


async def test_a_job_that_an_operator_gave_to_another_purchase_is_not_adopted_a_second_time(tables: Tables) -> None:
    desk = ReviewDesk(tables, "given-away")
    first, second = await desk.in_review(UNKNOWABLE), await desk.in_review(found("job-given-away"))
    async with tables.database.transaction() as session:
        await ledger.adopt(session, first, job_id="job-given-away", deadline_at=now() + timedelta(minutes=5))
        await lives.reopen(session, first.generation_id, "operator_decided")
    await desk.round()

    assert (await desk.row(second)).state is SpendState.unknown


async def test_a_job_that_is_adopted_late_is_as_old_as_its_purchase(tables: Tables) -> None:
    """By its age it is judged whether a file that is not there is not there yet, or not there any more."""
    desk = ReviewDesk(tables, "adopted-late")
    spend = await desk.in_review(found("job-adopted-late"))
    sent_at = now() - timedelta(minutes=50)
    async with tables.database.transaction() as session:
        await session.exec(update(Spend).where(col(Spend.id) == spend.id).values(sent_at=sent_at))
    await desk.round()

    assert (await desk.row(spend)).submitted_at == sent_at


# Rounds of the reconciler


class Strays:
    """A check of the test's own: what it finds, and what mending each of them comes to."""

    name = "strays_of_a_test"

    def __init__(self, found: list[Stray], mending: Callable[[Stray], Awaitable[FindingAction | None]]) -> None:
        self.found = found
        self._mending = mending

    async def find(self, after: str) -> Found:
        return Found(list(self.found))

    async def mend(self, stray: Stray) -> FindingAction | None:
        return await self._mending(stray)


async def a_look(tables: Tables, check: Check, order: CheckOrder) -> CheckReport:
    metrics = ReconcilerMetrics(CollectorRegistry())
    activities = ReconcileActivities(database=tables.database, checks=[check], metrics=metrics)
    report: CheckReport = await ActivityEnvironment().run(activities.reconcile, order)
    return report


async def test_what_takes_long_and_cannot_be_mended_does_not_keep_the_rest_waiting_for_ever(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, mended = [0.0], []

    async def mend(stray: Stray) -> FindingAction:
        if stray.facts["stuck"]:
            clock[0] += reconciling.LONGEST_MENDING_S * 0.6
            raise ProviderUnavailable
        mended.append(stray)
        return "settled"

    rows = [Stray("stray_of_a_test", facts={"stuck": stuck}) for stuck in (True, True, False)]
    monkeypatch.setattr(reconciling, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    check, after = Strays(rows, mend), ""
    for _ in range(10):
        after = (await a_look(tables, check, CheckOrder(check=check.name, after=after))).after

    assert mended


async def test_a_report_of_many_findings_is_small_enough_for_the_engine(tables: Tables) -> None:
    async def mend(_stray: Stray) -> None:
        return None

    key = f"{tables.tenant_id}/{tables.tenant_id}/avatar-{'0' * 16}.png"
    rows = [Stray("object_without_row", object_key=f"{key}{n}", facts={"size_bytes": n}) for n in range(2000)]
    check = Strays(rows, mend)
    report = await a_look(tables, check, CheckOrder(check=check.name, dry_run=True))

    assert len(report.model_dump_json()) < LARGE_PAYLOAD_BYTES


# A table of many rows


MANY = 20_000
HISTORY = """
with made as (
    insert into generation (id, tenant_id, kind, status, stage, progress, request, tags, request_hash, acceptance, run,
                            quote_max_usd, cost_usd, result, event_seq, created_at, dispatched_at, finished_at)
    select gen_random_uuid(), :tenant_id, 'avatar', 'succeeded', '', 1, '{}', '{}', '', '{}', 1, 1, 0.01, '{}', 1,
           now() - interval '1 day', now(), now() - interval '1 day'
    from generate_series(1, :many) returning id
), told as (
    insert into event (generation_id, seq, type, data, created_at)
    select id, 1, 'generation.succeeded', '{}', now() - interval '1 day' from made
), kept as (
    insert into asset (id, tenant_id, generation_id, step, role, state, key, content_type, size_bytes, sha256, width,
                       height, created_at, stored_at)
    select gen_random_uuid(), :tenant_id, id, 'avatar', 'picture', 'stored', 'review/' || id, 'image/png', 1, '', 1, 1,
           now() - interval '1 day', now() - interval '1 day' from made
)
insert into spend (id, tenant_id, generation_id, step, purchase, state, provider, model, token, prompt, prompt_name,
                   prompt_version, prompt_hash, hold_usd, cost_usd, billed, possible_duplicate, lease, lease_until,
                   deadline_at, sends, provider_job_id, created_at, ended_at)
select gen_random_uuid(), :tenant_id, id, 'avatar', 0, 'settled', 'replicate', 'm', 'review-' || id, '', '', '', '', 1,
       0.01, 'yes', false, 1, now(), now(), 1, id, now() - interval '1 day', now() from made
"""
ROWS_READ = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables
where relname in ('generation', 'event', 'asset', 'spend', 'delivery')
"""
Look = Callable[[AsyncSession], Awaitable[Any]]
AGO = timedelta(minutes=15)
LOOKS: dict[str, Look] = {
    "queued_quietly": lambda session: strays.queued_quietly(session, since=now() - AGO, after=None, limit=PAGE),
    "running": lambda session: strays.running(session, after=None, limit=PAGE),
    "asked_to_stop": lambda session: strays.asked_to_stop(session, before=now() - AGO, after=None, limit=PAGE),
    "open_spends_of_closed": lambda session: strays.open_spends_of_closed(
        session, before=now() - AGO, after=None, limit=PAGE
    ),
    "unverified_spends": lambda session: strays.unverified_spends(session, after=None, limit=PAGE),
    "unknown_in_review": lambda session: strays.unknown_in_review(
        session, providers=["replicate"], sent_after=now() - AGO, after=None, limit=PAGE
    ),
    "overdue_deliveries": lambda session: strays.overdue_deliveries(session, before=now(), after=None, limit=PAGE),
    "unfinished_assets": lambda session: strays.unfinished_assets(session, before=now() - AGO, after=None, limit=PAGE),
    "retention.deleted": lambda session: retention.deleted(session, deleted_before=now(), limit=PAGE),
    "sessions.undeleted": lambda session: sessions.undeleted(session, before=now(), limit=PAGE),
    "undispatched": lambda session: generations.undispatched(session, older_than=AGO, limit=PAGE),
}


class _Done(Exception):
    """Leaves a transaction without a trace."""


@pytest.mark.parametrize("name", LOOKS)
async def test_a_look_for_what_is_astray_does_not_read_all_that_ever_was(tables: Tables, name: str) -> None:
    read: list[int] = []
    with pytest.raises(_Done):
        async with tables.database.transaction() as session:
            connection = await session.connection()
            await connection.execute(text(HISTORY), {"tenant_id": tables.tenant_id, "many": MANY})
            for table in ("generation", "event", "asset", "spend"):
                await connection.execute(text(f"analyze {table}"))
            for look in (None, LOOKS[name]):
                if look is not None:
                    await look(session)
                read.append(int((await connection.execute(text(ROWS_READ))).scalar_one()))
            raise _Done

    assert read[1] - read[0] < MANY / 10
