"""What a round leaves behind itself: rows, events, figures; what it forgets; its schedule at the engine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.reconciliation.check import Found, Stray
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from contracts.names import MAIN_QUEUE, SCHEDULE_RECONCILE, WORKFLOW_RECONCILE
from contracts.reconciliation import CHECKS, CheckOrder, CheckReport, FindingAction, ReconcileOrder, ReconcileReport
from contracts.statuses import AssetState, SpendState
from db.columns import now
from db.operation_models import Finding, Notice
from db.protection_models import RateLimit
from engine.schedules import ensure_schedule
from errors import DatabaseUnavailable, LeaseLost
from tests.integration.reconciler.yard import Yard
from workflows.reconcile import Reconcile

# A schedule begins its rounds at whole multiples since the epoch: of a month, and so in no test.
NEVER_S = 30 * 86_400


class Staged:
    """A check that finds what it is told to, and does to each what is written there."""

    name = "staged"

    def __init__(self, *strays: Stray, finding: Exception | None = None) -> None:
        self._strays = strays
        self._finding = finding

    async def find(self, after: str) -> Found:
        if self._finding:
            raise self._finding
        return Found(self._strays, after)

    async def mend(self, stray: Stray) -> FindingAction | None:
        if isinstance(stray.row, Exception):
            raise stray.row
        action: FindingAction | None = stray.row
        return action


async def done(yard: Yard, check: Staged, registry: CollectorRegistry | None = None) -> CheckReport:
    metrics = ReconcilerMetrics(registry or CollectorRegistry())
    activities = ReconcileActivities(database=yard.tables.database, checks=[check], metrics=metrics)
    report: CheckReport = await ActivityEnvironment().run(activities.reconcile, CheckOrder(check=check.name))
    return report


async def test_every_named_check_has_an_object_in_this_order(yard: Yard) -> None:
    assert tuple(check.name for check in yard.checks()) == CHECKS


async def test_a_finding_is_a_row_an_event_and_a_figure(yard: Yard) -> None:
    generation = await yard.queued()
    stray = Stray("odd", generation_id=generation.id, facts={"step": "avatar", "why": "a test"}, row="removed")
    registry = CollectorRegistry()
    await done(yard, Staged(stray), registry)

    (row,) = await yard.rows()
    event = (await yard.events(generation.id))[-1]
    labels = {"kind": "odd", "action": "removed"}
    assert (row.kind, row.action, row.generation_id, row.facts["why"]) == ("odd", "removed", generation.id, "a test")
    assert (event.type, event.data) == ("reconciler.odd", {"action": "removed", "step": "avatar"})
    assert registry.get_sample_value("diorama_reconciler_findings_total", labels) == 1


async def test_what_can_not_be_mended_does_not_keep_the_others_from_it(yard: Yard) -> None:
    strays = [
        Stray("odd", object_key=str(number), row=what)
        for number, what in enumerate(
            (DatabaseUnavailable(), KeyError("a fault of ours"), LeaseLost(), None, "removed")
        )
    ]
    report = await done(yard, Staged(*strays))

    told = [(item.action, item.facts.get("error")) for item in report.findings]
    assert set(told) == {("postponed", "database_unavailable"), ("postponed", "KeyError"), ("removed", None)}


async def test_what_stays_astray_is_told_again_when_its_outcome_changes(yard: Yard) -> None:
    for action in ("postponed", "postponed", "reported", "removed", "removed"):
        await done(yard, Staged(Stray("odd", object_key="k", row=action)))

    assert [row.action for row in await yard.rows()] == ["postponed", "reported", "removed", "removed"]


async def test_a_check_whose_server_is_away_is_skipped_and_says_so(yard: Yard) -> None:
    report = await done(yard, Staged(finding=DatabaseUnavailable()))

    assert report == CheckReport(skipped="database_unavailable")


async def test_a_check_that_this_release_does_not_know_is_skipped(yard: Yard) -> None:
    report = await yard.checked("of_a_later_release")

    assert report.skipped == "not_found"


async def test_old_webhooks_and_findings_are_forgotten_and_young_ones_are_not(yard: Yard) -> None:
    async with yard.tables.database.transaction() as session:
        for days in (6, 8):
            received = now() - timedelta(days=days)
            session.add(Notice(id=f"msg-{days}", provider="replicate", token="t", received_at=received))
        for days in (89, 91):
            session.add(Finding(kind="odd", action=f"d{days}", created_at=now() - timedelta(days=days)))

    assert await yard.findings("old_rows", dry_run=True) == [("old_rows", "found")]
    assert await yard.findings("old_rows") == []
    assert [row.action for row in await yard.rows()] == ["d89"]
    assert await yard.findings("old_rows", dry_run=True) == []


async def test_limits_that_are_whole_for_long_are_forgotten_and_those_in_use_are_not(yard: Yard) -> None:
    used, unused = f"key:{uuid4()}", f"key:{uuid4()}"
    async with yard.tables.database.transaction() as session:
        session.add(RateLimit(name=used, next_at=now()))
        session.add(RateLimit(name=unused, next_at=now() - timedelta(hours=2)))

    assert await yard.findings("old_rows", dry_run=True) == [("old_rows", "found")]
    assert await yard.findings("old_rows") == []
    async with yard.tables.database.transaction() as session:
        left = [name for name in (used, unused) if await session.get(RateLimit, name)]
    assert left == [used]


# The whole round, by a worker, at a real engine


@asynccontextmanager
async def at_work(yard: Yard) -> AsyncIterator[None]:
    metrics = ReconcilerMetrics(CollectorRegistry())
    activities = ReconcileActivities(database=yard.tables.database, checks=yard.checks(), metrics=metrics)
    async with Worker(
        yard.engine,
        task_queue=MAIN_QUEUE,
        workflows=[Reconcile],
        activities=[activities.reconcile],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


async def whole_round(yard: Yard, **how: Any) -> ReconcileReport:
    report: ReconcileReport = await yard.engine.execute_workflow(
        WORKFLOW_RECONCILE,
        ReconcileOrder(whole=True, **how),
        id=f"reconcile/{uuid4()}",
        task_queue=MAIN_QUEUE,
        result_type=ReconcileReport,
    )
    return report


async def test_a_whole_round_mends_everything_and_the_next_one_finds_nothing(yard: Yard) -> None:
    await yard.closed(generation := await yard.running())
    await yard.held(generation)
    await yard.picture(generation, state=AssetState.pending)
    await yard.put("a/b/c.png")
    async with at_work(yard):
        seen = await whole_round(yard, dry_run=True)
        mended = await whole_round(yard)
        after = await whole_round(yard)

    expected = {"purchase_open": 1, "asset_unfinished": 1, "object_without_row": 1}
    assert (seen.counts, mended.counts, after.counts) == (expected, expected, {})
    assert {item.action for item in seen.items} == {"found"}
    assert seen.skipped == mended.skipped == after.skipped == {}


@pytest.fixture
async def schedule(engine: Client) -> AsyncIterator[None]:
    yield
    await engine.get_schedule_handle(SCHEDULE_RECONCILE).delete()


async def interval(engine: Client) -> timedelta:
    described = await engine.get_schedule_handle(SCHEDULE_RECONCILE).describe()
    return described.schedule.spec.intervals[0].every


@pytest.mark.usefixtures("schedule")
async def test_several_workers_make_one_schedule_and_a_new_interval_is_taken_over(engine: Client) -> None:
    await asyncio.gather(*(ensure_schedule(engine, NEVER_S) for _ in range(4)))
    first = await interval(engine)
    await ensure_schedule(engine, 2 * NEVER_S)

    assert (first, await interval(engine)) == (timedelta(seconds=NEVER_S), timedelta(seconds=2 * NEVER_S))


@pytest.mark.usefixtures("schedule")
async def test_a_schedule_that_people_paused_stays_paused(engine: Client) -> None:
    await ensure_schedule(engine, NEVER_S)
    await engine.get_schedule_handle(SCHEDULE_RECONCILE).pause(note="maintenance")
    await ensure_schedule(engine, 2 * NEVER_S)

    assert (await engine.get_schedule_handle(SCHEDULE_RECONCILE).describe()).schedule.state.paused


@pytest.mark.usefixtures("schedule")
async def test_a_scheduled_round_goes_on_where_the_one_before_stopped(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from activities.reconciliation import objects

    monkeypatch.setattr(objects, "LOOKED_AT", 2)
    for number in range(3):
        await yard.put(f"{number}.png")
    await ensure_schedule(yard.engine, NEVER_S)
    handle = yard.engine.get_schedule_handle(SCHEDULE_RECONCILE)
    async with at_work(yard):
        for left in (["2.png"], []):
            await handle.trigger()
            async with asyncio.timeout(120):
                while await yard.keys() != left:  # noqa: ASYNC110 - the round runs at the engine
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(120):
                while (await handle.describe()).info.running_actions:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.05)


async def test_two_rounds_at_once_do_everything_once(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    await yard.held(generation)
    await yard.sent(await yard.held(generation, purchase=1))
    await yard.picture(generation, state=AssetState.pending)
    lost = await yard.running()
    for name in ("workflows", "open_purchases", "unfinished_assets"):
        await asyncio.gather(*(yard.check(name) for _ in range(4)))
    kinds = [event.type for row in (generation, lost) for event in await yard.events(row.id)]

    assert (await yard.generation(lost.id)).run == 2
    assert [spend.state for spend in await yard.spends(generation.id)] == [SpendState.released] * 2
    for once in ("generation.reopened", "picture.deleted"):
        assert kinds.count(once) == 1
    assert Counter(row.kind for row in await yard.rows() if row.action != "postponed") == {
        "workflow_gone": 1,
        "purchase_open": 2,
        "asset_unfinished": 1,
    }
