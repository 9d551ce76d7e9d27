"""Runs the delivery workflow with a fake attempt: what was ordered is remembered with its time, what comes of it is set by the test."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.names import ACTIVITY_DELIVER, DELIVERY_QUEUE, MAIN_QUEUE, WORKFLOW_DELIVER, delivery_workflow_id
from contracts.statuses import DeliveryState
from contracts.webhooks import AttemptOrder, AttemptReport, DeliveryInput, DeliveryTrouble
from errors import DatabaseUnavailable
from worker import WORKFLOWS

DELIVERED = AttemptReport(state=DeliveryState.delivered, status=204)
GONE = AttemptReport(state=DeliveryState.failed, status=410, trouble=DeliveryTrouble.gone)
AWAY = ApplicationError(DatabaseUnavailable.title, type=DatabaseUnavailable.code)
Answer = AttemptReport | ApplicationError


def refused(pause_s: float | None, status: int = 500) -> AttemptReport:
    """What the attempt reports of a receiver that refuses: failed when no pause follows."""
    state = DeliveryState.failed if pause_s is None else DeliveryState.pending
    return AttemptReport(state=state, status=status, trouble=DeliveryTrouble.refused, pause_s=pause_s or 0.0)


class HookStage:
    """The workers; `answers` are what the attempts come to, and every attempt after them is refused."""

    def __init__(self, client: Client, *, max_cached_workflows: int) -> None:
        self.client = client
        self.answers: list[Answer] = []
        self.orders: list[AttemptOrder] = []
        self._cached = max_cached_workflows
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        @activity.defn(name=ACTIVITY_DELIVER)
        async def deliver(order: AttemptOrder) -> AttemptReport:
            self.orders.append(order)
            answer = self.answers.pop(0) if self.answers else refused(order.pause_s)
            if isinstance(answer, ApplicationError):
                raise answer
            return answer

        main = Worker(
            self.client,
            task_queue=MAIN_QUEUE,
            workflows=WORKFLOWS,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=self._cached,
        )
        await self._stack.enter_async_context(main)
        await self._stack.enter_async_context(Worker(self.client, task_queue=DELIVERY_QUEUE, activities=[deliver]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(
        self, *answers: Answer, delivery_id: UUID | None = None, run: int = 1, attempts: int = 0
    ) -> WorkflowHandle[object, None]:
        self.answers = list(answers)
        given = DeliveryInput(delivery_id=delivery_id or uuid4(), generation_id=UUID(int=1), run=run, attempts=attempts)
        return await self.client.start_workflow(
            WORKFLOW_DELIVER,
            given,
            id=delivery_workflow_id(given.delivery_id, run),
            task_queue=MAIN_QUEUE,
            result_type=type(None),
        )

    async def pauses_s(self, handle: WorkflowHandle[object, None]) -> Sequence[float]:
        """The timers of a workflow, seconds."""
        events = (await handle.fetch_history()).events
        started = [event for event in events if event.HasField("timer_started_event_attributes")]
        timers = [event.timer_started_event_attributes.start_to_fire_timeout for event in started]
        return [timer.seconds + timer.nanos / 1e9 for timer in timers]
