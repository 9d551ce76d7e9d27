"""Forget a session or a user: remove pictures and words, wait for what still runs, and end when nothing is left."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.erasing import ErasureActivities
from contracts.erasures import ErasureOrder
from contracts.names import MAIN_QUEUE, WORKFLOW_ERASE

Answer = TypeVar("Answer")

# Canceled generations end within seconds. What takes longer is looked at again with growing pauses, for ever.
PAUSES = (timedelta(seconds=2), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))


@workflow.defn(name=WORKFLOW_ERASE)
class Erase:
    """Runs until the receipt is written."""

    @workflow.run
    async def run(self, order: ErasureOrder) -> None:
        """Erase what has ended, and attest when nothing runs any more."""
        for pause in PAUSES:
            running = await self._do(ErasureActivities.erase, order, "remove pictures and words")
            if not running and await self._do(ErasureActivities.attest, order, "look for what is left"):
                return
            what = f"{running} generations are still ending" if running else "something is left"
            await workflow.sleep(pause, summary=what)
        workflow.continue_as_new(order)

    async def _do(self, method: Callable[..., Awaitable[Answer]], order: ErasureOrder, summary: str) -> Answer:
        return await workflow.execute_activity_method(
            method,
            order,
            task_queue=MAIN_QUEUE,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
            summary=summary,
        )
