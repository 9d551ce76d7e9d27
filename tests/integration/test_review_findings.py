"""What a review of the ledger, the further runs and the reconciler found: each test states what must hold."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
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
from uuid_utils.compat import uuid7

from activities import keeping, reconciling
from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.check import PAGE, Check, Found, ReconcilingRules, Stray
from activities.reconciliation.inquiry import Inquiry
from activities.reconciliation.purchases_to_adopt import PurchasesToAdopt
from activities.reconciliation.retention import RETENTION, Retention, RetentionRules
from activities.reconciliation.stray_jobs import StrayJobs
from activities.reconciliation.unfinished_assets import UNFINISHED, UnfinishedAssets
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from activities.waiting import Waiter, WaitingRules
from contracts.pictures import Closing
from contracts.reconciliation import CheckOrder, CheckReport, FindingAction
from contracts.statuses import AssetState, Kind, SpendState, Status, Step
from db import assets, generations, input_assets, ledger, lives, retention, sessions, strays
from db.models import Asset, Generation, Spend, now
from errors import ProviderUnavailable, StorageUnavailable
from providers.base import FinishedPicture, JobReport, ListedJob, LostJob
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


@pytest.mark.parametrize("status", [Status.queued, Status.running])
async def test_an_earlier_run_that_closes_once_more_does_not_touch_the_further_run(
    tables: Tables, status: Status
) -> None:
    """A local activity whose commit was made and whose worker died is executed again, here after the reopening."""
    shop = Workshop(tables, WithJobs(DONE))
    order = await in_review(shop)
    await adopt(tables, order)
    async with tables.database.transaction() as session:
        if status is Status.running:
            await lives.open_(session, await lives.read(session, order.generation_id))
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
    async with tables.database.transaction() as session:
        generation = await lives.read(session, order.generation_id)

    assert (generation.status, generation.run) == (status, 2)


async def test_a_picture_costs_what_its_own_model_costs_although_the_plan_names_another_by_now(tables: Tables) -> None:
    catalog = Catalog.load()
    models = [entry for entry in catalog.models if entry.provider == "replicate"]
    dearest = max(models, key=lambda entry: catalog.price(entry, "low", None, 0, shape="square"))
    costs = []
    for named_later in (models[0].model, dearest.model):
        shop = Workshop(tables, WithJobs(DONE))
        order = await in_review(shop)
        assert order.candidate.model == models[0].model
        await adopt(tables, order, job_id=f"job-{len(costs)}")
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


async def test_what_a_provider_said_a_purchase_costs_counts_when_its_generation_is_closed(tables: Tables) -> None:
    said = Decimal("0.041")
    order = an_order(await a_generation(tables))
    async with tables.database.transaction() as session:
        spend = await ledger.mark_sent(session, await ledger.claim(session, order, PROMPT), window_s=1)
        await ledger.mark_submitted(session, spend, raw_asset_id=uuid7(), cost_usd=said)
        closed = await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))

    assert closed.cost_usd == said


# Between the last look and the act


async def a_picture(tables: Tables, generation_id: UUID | None, state: AssetState) -> Asset:
    picture = Asset(
        tenant_id=tables.tenant_id,
        generation_id=generation_id,
        step=Step.avatar if generation_id else Step.input,
        key=f"review/{uuid7()}.png",
        content_type="image/png",
        size_bytes=1,
        sha256="0" * 64,
        width=1,
        height=1,
    )
    async with tables.database.transaction() as session:
        await assets.announce(session, picture)
        if state is AssetState.stored:
            await assets.mark(session, picture.id, state)
    return picture


async def state_of(tables: Tables, picture: Asset) -> AssetState:
    async with tables.database.transaction() as session:
        return (await session.get_one(Asset, picture.id)).state


class Overtaken(Keeper):
    """Somebody acts in the moment before a picture is removed."""

    def __init__(self, tables: Tables, first: Callable[[AsyncSession], Awaitable[Any]]) -> None:
        super().__init__(tables.database, MemoryStorage(), {}, KeepingRules())
        self._first = first

    async def remove(self, *given: Any, **named: Any) -> bool:
        async with self._database.transaction() as session:
            await self._first(session)
        return await super().remove(*given, **named)


async def test_an_old_picture_that_a_client_asks_to_start_from_is_not_removed(tables: Tables) -> None:
    owner = await a_generation(tables)
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=owner.id, outcome="failed"))
    picture = await a_picture(tables, owner.id, AssetState.stored)
    scene = Generation(
        tenant_id=tables.tenant_id,
        kind=Kind.scene,
        request={"avatar_asset_id": str(picture.id)},
        request_hash="",
        quote_max_usd=Decimal(1),
    )
    keeper = Overtaken(tables, lambda session: generations.accept(session, scene))
    check = Retention(tables.database, keeper, RetentionRules(pictures=timedelta(0)))
    await check.mend(Stray.of_asset(RETENTION, picture, reason="expired"))

    assert await state_of(tables, picture) is AssetState.stored


async def test_a_clients_picture_whose_request_is_accepted_at_last_is_not_removed(tables: Tables) -> None:
    generation, picture = await a_generation(tables), await a_picture(tables, None, AssetState.pending)
    keeper = Overtaken(tables, lambda session: input_assets.attach(session, picture.id, generation.id))
    check = UnfinishedAssets(tables.database, keeper, ReconcilingRules(grace=timedelta(0)))
    await check.mend(Stray.of_asset(UNFINISHED, picture, state=picture.state))

    assert await state_of(tables, picture) is AssetState.stored


# Adopting


class Answers(Scripted):
    """A provider that answers each look-up by the purchase's token."""

    def __init__(self) -> None:
        super().__init__([])
        self.by_token: dict[str, LostJob] = {}
        self.listed: list[ListedJob] = []
        self.canceled: list[str] = []

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        for job in self.listed:
            yield job

    async def cancel(self, job_id: str) -> JobReport:
        self.canceled.append(job_id)
        return JobReport(job_id=job_id, state="canceled")

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        return self.by_token[token]


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
        self.inquiry = Inquiry(tables.database, providers, buyer, waiter, timedelta(minutes=55))
        self.check = PurchasesToAdopt(tables.database, self.inquiry, ReconcilingRules())

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
        await ledger.adopt(session, first, job_id="job-given-away")
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


async def test_a_job_that_is_adopted_after_it_was_found_astray_is_not_stopped(tables: Tables) -> None:
    desk = ReviewDesk(tables, "adopted-meanwhile")
    ended, other = await desk.in_review(UNKNOWABLE), await desk.in_review(UNKNOWABLE)
    async with tables.database.transaction() as session:
        await ledger.settle(session, ended, cost_usd=Decimal("0.05"))
    running = JobReport(job_id="job-that-runs", state="running")
    desk.provider.listed = [ListedJob(ended.token, now(), running)]
    check = StrayJobs(tables.database, desk.inquiry, ReconcilingRules())
    (stray,) = (await check.find("")).strays
    async with tables.database.transaction() as session:
        await ledger.adopt(session, other, job_id=running.job_id)
        await lives.reopen(session, other.generation_id, "operator_decided")
    await check.mend(stray)

    assert desk.provider.canceled == []


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


async def test_an_object_with_the_longest_key_that_a_store_takes_does_not_end_the_check(tables: Tables) -> None:
    async def mend(_stray: Stray) -> FindingAction:
        raise StorageUnavailable

    check = Strays([Stray("object_without_row", object_key="k" * 1024)], mend)
    report = await a_look(tables, check, CheckOrder(check=check.name))

    assert [item.action for item in report.findings] == ["postponed"]


# A table of many rows


MANY = 20_000
HISTORY = """
with made as (
    insert into generation (id, tenant_id, kind, status, stage, progress, request, session_id, tags, request_hash, acceptance, run,
                            quote_max_usd, cost_usd, result, event_seq, created_at, dispatched_at, finished_at)
    select gen_random_uuid(), :tenant_id, 'avatar', 'succeeded', '', 1, '{}', 'review-' || n, '{}', '', '{}', 1, 1, 0.01, '{}', 1,
           now() - interval '1 day', now(), now() - interval '1 day'
    from generate_series(1, :many) as n returning id
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
where relname in ('generation', 'asset', 'spend')
"""
Look = Callable[[AsyncSession], Awaitable[Any]]
AGO = timedelta(minutes=15)
LOOKS: dict[str, Look] = {
    "open_spends_of_closed": lambda session: strays.open_spends_of_closed(
        session, before=now() - AGO, after=None, limit=PAGE
    ),
    "unfinished_assets": lambda session: strays.unfinished_assets(session, before=now() - AGO, after=None, limit=PAGE),
    "retention.deleted": lambda session: retention.deleted(session, deleted_before=now(), limit=PAGE),
    "sessions.undeleted": lambda session: sessions.undeleted(session, before=now(), limit=PAGE),
}


@pytest.mark.parametrize("name", LOOKS)
async def test_a_look_for_what_is_astray_does_not_read_all_that_ever_was(tables: Tables, name: str) -> None:
    read: list[int] = []
    async with tables.database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text(HISTORY), {"tenant_id": tables.tenant_id, "many": MANY})
        for table in ("generation", "event", "asset", "spend"):
            await connection.execute(text(f"analyze {table}"))
        read.append(int((await connection.execute(text(ROWS_READ))).scalar_one()))
        await LOOKS[name](session)
        read.append(int((await connection.execute(text(ROWS_READ))).scalar_one()))
        await session.rollback()  # the tables are other tests' too

    assert read[1] - read[0] < MANY / 10
