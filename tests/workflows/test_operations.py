"""A round of the reconciler, and the taking back of an ended run, with fake activities."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.pictures import Begun
from contracts.reconciliation import CHECKS, CheckReport, ReconcileOrder
from contracts.statuses import Step
from errors import GenerationCanceled, WorkflowEnded
from tests.workflows.operations_stage import BROKEN, OperationsStage, found
from workflows.reconcile import MOST_ITEMS, MOST_LOOKS


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed at every task"])
async def operations(
    environment: WorkflowEnvironment, request: pytest.FixtureRequest
) -> AsyncIterator[OperationsStage]:
    async with OperationsStage(environment.client, max_cached_workflows=request.param) as stage:
        yield stage


async def test_a_round_looks_once_with_each_check_in_its_order(operations: OperationsStage) -> None:
    report = await operations.round(ReconcileOrder())

    assert operations.looks == [(check, "") for check in CHECKS]
    assert (report.counts, report.skipped, report.cursors) == ({}, {}, {})


async def test_a_check_that_fails_or_is_skipped_does_not_keep_the_others_from_their_turn(
    operations: OperationsStage,
) -> None:
    operations.answers["a"] = [BROKEN]
    operations.answers["b"] = [CheckReport(skipped="storage_unavailable", after="here")]
    operations.answers["c"] = [found("odd", "odd")]
    report = await operations.round(ReconcileOrder(checks=("a", "b", "c")))

    assert report.skipped == {"a": "failed", "b": "storage_unavailable"}
    assert report.counts == {"odd": 2}
    assert report.cursors == {"b": "here"}, "the next round goes on where this one could not"


async def test_a_round_of_the_schedule_leaves_the_findings_to_the_tables(operations: OperationsStage) -> None:
    operations.answers["a"] = [found("odd", after="x")]
    report = await operations.round(ReconcileOrder(checks=("a",)))

    assert (report.items, report.cursors, operations.looks) == ((), {"a": "x"}, [("a", "")])


async def test_a_whole_round_looks_until_a_check_has_seen_everything(operations: OperationsStage) -> None:
    operations.answers["a"] = [found("odd", after="x"), found("odd", unfinished=True), found("even")]
    report = await operations.round(ReconcileOrder(checks=("a",), whole=True))

    assert operations.looks == [("a", ""), ("a", "x"), ("a", "")]
    assert [item.kind for item in report.items] == ["odd", "odd", "even"]
    assert (report.counts, report.cursors) == ({"odd": 2, "even": 1}, {})


async def test_a_whole_round_does_not_wait_for_a_server_that_is_away(operations: OperationsStage) -> None:
    operations.answers["a"] = [CheckReport(skipped="storage_unavailable", after="x")]
    report = await operations.round(ReconcileOrder(checks=("a", "b"), whole=True))

    assert operations.looks == [("a", ""), ("b", "")]
    assert report.skipped == {"a": "storage_unavailable"}


async def test_a_report_holds_no_more_than_it_may(operations: OperationsStage) -> None:
    operations.answers["a"] = [found(*["odd"] * 400, after="x"), found(*["odd"] * 400)]
    report = await operations.round(ReconcileOrder(checks=("a",), whole=True))

    assert (report.counts, len(report.items)) == ({"odd": 800}, MOST_ITEMS)
    assert MOST_LOOKS > 1


async def test_findings_that_a_look_only_counted_are_counted(operations: OperationsStage) -> None:
    shown = found("odd", "even", after="x").model_copy(update={"counts": {"odd": 700, "even": 1}})
    of_an_earlier_release = found("odd")
    operations.answers["a"] = [shown, of_an_earlier_release]
    report = await operations.round(ReconcileOrder(checks=("a",), whole=True))

    assert report.counts == {"odd": 701, "even": 1}


async def test_an_ended_run_is_taken_back_newest_first_and_closed_as_failed(operations: OperationsStage) -> None:
    await operations.take_back()

    (closing,) = operations.closings
    assert operations.undone == [Step.scene, Step.avatar]
    assert (closing.outcome, closing.failure and closing.failure.code) == ("failed", WorkflowEnded.code)
    assert [report.step for report in closing.rollback] == [Step.scene, Step.avatar]


async def test_an_ended_run_whose_client_asked_to_stop_is_closed_as_canceled(operations: OperationsStage) -> None:
    operations.begun = Begun(steps=(Step.avatar,), canceled=True)
    await operations.take_back()

    (closing,) = operations.closings
    assert (closing.outcome, closing.failure and closing.failure.code) == ("canceled", GenerationCanceled.code)


async def test_a_generation_that_has_ended_meanwhile_stays_as_it_ended(operations: OperationsStage) -> None:
    operations.begun = Begun(steps=(Step.avatar,), ended=True)
    await operations.take_back()

    assert (operations.undone, operations.closings) == ([], [])


async def test_what_cannot_be_taken_back_is_told_in_the_end(operations: OperationsStage) -> None:
    operations.undo_fails = True
    await operations.take_back()

    (closing,) = operations.closings
    assert [bool(report.remaining) for report in closing.rollback] == [True, True]
