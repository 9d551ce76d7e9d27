"""Runs the reconciler's workflows with fake activities: what a check or a generation has is set by the test."""

from collections import defaultdict
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.names import (
    ACTIVITY_BEGUN,
    ACTIVITY_CLOSE,
    ACTIVITY_RECONCILE,
    ACTIVITY_UNDO_PICTURE,
    MAIN_QUEUE,
    WORKFLOW_RECONCILE,
    WORKFLOW_TAKE_BACK,
    take_back_id,
)
from contracts.pictures import Begun, Closing, GenerationInput, UndoOrder, UndoReport
from contracts.reconciliation import CheckOrder, CheckReport, FindingItem, ReconcileOrder, ReconcileReport
from contracts.statuses import Kind, Step
from worker import WORKFLOWS

BROKEN = ApplicationError("a fault of ours", type="KeyError", non_retryable=True)


def found(*kinds: str, after: str = "", unfinished: bool = False) -> CheckReport:
    items = tuple(FindingItem(kind=kind, action="removed") for kind in kinds)
    return CheckReport(findings=items, after=after, unfinished=unfinished)


class OperationsStage:
    """The worker; `looks`, `undone` and `closings` are what the workflows asked for."""

    def __init__(self, client: Client, *, max_cached_workflows: int) -> None:
        self.client = client
        self.begun = Begun(steps=(Step.avatar, Step.scene))
        self.answers: dict[str, list[CheckReport | ApplicationError]] = defaultdict(list)
        self.undo_fails = False
        self.looks: list[tuple[str, str]] = []
        self.undone: list[Step] = []
        self.closings: list[Closing] = []
        self._cached = max_cached_workflows
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        @activity.defn(name=ACTIVITY_RECONCILE)
        async def check(order: CheckOrder) -> CheckReport:
            self.looks.append((order.check, order.after))
            answer = self.answers[order.check].pop(0) if self.answers[order.check] else CheckReport()
            if isinstance(answer, ApplicationError):
                raise answer
            return answer

        @activity.defn(name=ACTIVITY_BEGUN)
        async def begun(_given: GenerationInput) -> Begun:
            return self.begun

        @activity.defn(name=ACTIVITY_UNDO_PICTURE)
        async def undo(order: UndoOrder) -> UndoReport:
            if self.undo_fails:
                raise ApplicationError("the store is away", type="storage_unavailable", non_retryable=True)
            self.undone.append(order.step)
            return UndoReport(step=order.step)

        @activity.defn(name=ACTIVITY_CLOSE)
        async def close(closing: Closing) -> None:
            self.closings.append(closing)

        worker = Worker(
            self.client,
            task_queue=MAIN_QUEUE,
            workflows=WORKFLOWS,
            activities=[check, begun, undo, close],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=self._cached,
        )
        await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start_round(self, order: ReconcileOrder) -> WorkflowHandle[object, ReconcileReport]:
        return await self.client.start_workflow(
            WORKFLOW_RECONCILE,
            order,
            id=f"reconcile/{uuid4()}",
            task_queue=MAIN_QUEUE,
            result_type=ReconcileReport,
        )

    async def round(self, order: ReconcileOrder) -> ReconcileReport:
        return await (await self.start_round(order)).result()

    async def start_taking_back(self, kind: Kind = Kind.avatar_scene) -> WorkflowHandle[object, None]:
        given = GenerationInput(generation_id=uuid4(), tenant_id=UUID(int=1), kind=kind)
        return await self.client.start_workflow(
            WORKFLOW_TAKE_BACK,
            given,
            id=take_back_id(given.generation_id, 1),
            task_queue=MAIN_QUEUE,
            result_type=type(None),
        )

    async def take_back(self) -> None:
        await (await self.start_taking_back()).result()
