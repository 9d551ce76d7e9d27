"""The outcomes of the reconciler's workflows, for the replay test."""

from typing import Any

from temporalio.client import Client

from contracts.pictures import Begun
from contracts.reconciliation import CheckReport, ReconcileOrder
from contracts.statuses import Step
from tests.replay.recording import Handle, Outcome
from tests.workflows.operations_stage import BROKEN, OperationsStage, found


def rounds(order: ReconcileOrder, **answers: Any) -> Outcome:
    """A round whose checks answer so."""

    async def run_to_the_end(client: Client) -> Handle:
        async with OperationsStage(client, max_cached_workflows=100) as stage:
            stage.answers |= {check: list(given) for check, given in answers.items()}
            handle = await stage.start_round(order)
            await handle.result()
            return handle

    return run_to_the_end


def taking_back(begun: Begun, *, undo_fails: bool = False) -> Outcome:
    """The taking back of a generation that has begun so much."""

    async def run_to_the_end(client: Client) -> Handle:
        async with OperationsStage(client, max_cached_workflows=100) as stage:
            stage.begun, stage.undo_fails = begun, undo_fails
            handle = await stage.start_taking_back()
            await handle.result()
            return handle

    return run_to_the_end


CHAIN = (Step.avatar, Step.scene)
# label -> runs the workflow to its end
OUTCOMES: dict[str, Outcome] = {
    "reconcile-nothing-astray": rounds(ReconcileOrder(checks=("workflows", "objects"))),
    "reconcile-found": rounds(
        ReconcileOrder(checks=("workflows", "objects")),
        workflows=[found("workflow_gone")],
        objects=[found("object_without_row", after="a key")],
    ),
    "reconcile-skipped-and-failed": rounds(
        ReconcileOrder(checks=("workflows", "objects", "retention")),
        workflows=[BROKEN],
        objects=[CheckReport(skipped="storage_unavailable")],
        retention=[found("retention")],
    ),
    "reconcile-whole": rounds(
        ReconcileOrder(checks=("workflows", "objects"), whole=True),
        objects=[found("object_without_row", after="a key"), found(unfinished=True), found("object_without_row")],
    ),
    "reconcile-dry-run": rounds(
        ReconcileOrder(checks=("objects",), whole=True, dry_run=True), objects=[found("object_without_row")]
    ),
    "take_back-failed": taking_back(Begun(steps=CHAIN)),
    "take_back-canceled": taking_back(Begun(steps=CHAIN, canceled=True)),
    "take_back-nothing-begun": taking_back(Begun(steps=())),
    "take_back-ended-already": taking_back(Begun(steps=CHAIN, ended=True)),
    "take_back-undo-fails": taking_back(Begun(steps=(Step.avatar,)), undo_fails=True),
}
