"""What to take back when a story does not end well, newest first."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.undoing import UndoActivities
from contracts.names import MAIN_QUEUE
from contracts.pictures import GenerationInput, UndoOrder, UndoReport
from contracts.statuses import Step

Result = TypeVar("Result")


class Saga:
    """Remembers the steps that must be taken back; a step is remembered before it is begun."""

    def __init__(self, given: GenerationInput) -> None:
        self._given = given
        self._begun: list[Step] = []
        self.heartbeat = timedelta(seconds=20)

    def remember(self, step: Step) -> None:
        """From now on a roll-back takes this step back too."""
        if step not in self._begun:
            self._begun.append(step)

    async def roll_back(self) -> tuple[UndoReport, ...]:
        """Take all steps back, whatever happens meanwhile; what could not be taken back is in the reports."""
        return await unstoppable(self._undo_all)

    async def _undo_all(self) -> tuple[UndoReport, ...]:
        return tuple([await self._undo(step) for step in reversed(self._begun)])

    async def _undo(self, step: Step) -> UndoReport:
        given = self._given
        order = UndoOrder(generation_id=given.generation_id, tenant_id=given.tenant_id, step=step, run=given.run)
        try:
            return await workflow.execute_activity_method(
                UndoActivities.undo_picture,
                order,
                task_queue=MAIN_QUEUE,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=self.heartbeat,
                # About ten minutes of trying; after that the report says what is left, and nothing is forgotten.
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30), maximum_attempts=25),
                summary=f"take back {step}",
            )
        except ActivityError:
            workflow.logger.exception("a step could not be taken back")
            return UndoReport(step=step, remaining=(f"{step}: the undoing did not finish",))


async def unstoppable(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run this to its end although the workflow may be canceled meanwhile."""
    task: Awaitable[Result] = asyncio.create_task(work())
    while not task.done():  # type: ignore[attr-defined]
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            workflow.logger.info("a cancel request waits until the end is written down")
    return await task
