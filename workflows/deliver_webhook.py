"""Deliver one event to one webhook endpoint: try, and try again over days, until it arrives or nobody can hope any more."""

import random
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.delivery import DeliveryActivities
from contracts.names import DELIVERY_QUEUE, WORKFLOW_DELIVER
from contracts.statuses import DeliveryState
from contracts.webhooks import AttemptOrder, AttemptReport, DeliveryInput

MINUTE, HOUR = 60.0, 3600.0
# The schedule that Standard Webhooks proposes, seconds: ten attempts in a little more than three days.
PAUSES_S = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
# So that the deliveries of an outage do not come back all at once.
JITTER = 0.1
# The POST has 15 s, and is followed by one short transaction.
ATTEMPT = timedelta(seconds=30)
# An attempt is repeated by the engine only when our own database, or the worker, is away; what the receiver does is a result.
UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=20))


def pause_s(delivery_id: str, place: int) -> float | None:
    """Seconds between attempt `place` of a run (from 0) and the next; the same at every replay. None: it is the last."""
    if place == len(PAUSES_S):
        return None
    return PAUSES_S[place] * random.Random(f"{delivery_id}/{place}").uniform(1 - JITTER, 1 + JITTER)


@workflow.defn(name=WORKFLOW_DELIVER)
class DeliverWebhook:
    """One run of one delivery; all pauses are timers of the workflow, so nothing waits in a worker."""

    @workflow.run
    async def run(self, given: DeliveryInput) -> None:
        """Try up to ten times. A delivery that fails is no failure of the workflow: it is written on the delivery."""
        for place in range(len(PAUSES_S) + 1):
            report = await self._attempt(given, place)
            workflow.set_current_details(_words(report))
            if report.state is not DeliveryState.pending:
                return
            await workflow.sleep(report.pause_s, summary=f"attempt {place + 2} comes next")

    async def _attempt(self, given: DeliveryInput, place: int) -> AttemptReport:
        order = AttemptOrder(
            delivery_id=given.delivery_id,
            generation_id=given.generation_id,
            run=given.run,
            number=given.attempts + place + 1,
            pause_s=pause_s(str(given.delivery_id), place),
        )
        return await workflow.execute_activity_method(
            DeliveryActivities.deliver,
            order,
            task_queue=DELIVERY_QUEUE,
            start_to_close_timeout=ATTEMPT,
            retry_policy=UNTIL_IT_WORKS,
            summary=f"attempt {place + 1}",
        )


def _words(report: AttemptReport) -> str:
    answer = f", answered {report.status}" if report.status else ""
    return f"**{report.state}**{answer}" + (f": {report.trouble}" if report.trouble else "")
