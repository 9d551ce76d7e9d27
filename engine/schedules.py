"""The reconciler's schedule at the engine."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from contracts.names import MAIN_QUEUE, SCHEDULE_RECONCILE, WORKFLOW_RECONCILE
from contracts.reconciliation import ReconcileOrder

# A round that hangs must not be the last one.
LONGEST_ROUND = timedelta(hours=1)


async def ensure_schedule(client: Client, every_s: int) -> None:
    """Have the reconciler run every so many seconds; harmless when several workers ask for it at once.

    A schedule that is there takes over this interval and this release's checks; one that people paused stays paused.
    """
    schedule = _schedule(timedelta(seconds=every_s))
    try:
        await client.create_schedule(SCHEDULE_RECONCILE, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(SCHEDULE_RECONCILE).update(lambda found: _updated(found, schedule))


def _schedule(every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            WORKFLOW_RECONCILE,
            ReconcileOrder(),
            id="reconcile",
            task_queue=MAIN_QUEUE,
            execution_timeout=LONGEST_ROUND,
            static_summary="look for what went astray",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # Rounds that were missed while the engine was away are not made up for: one round sees all.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )


def _updated(found: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate:
    wanted.state = found.description.schedule.state
    return ScheduleUpdate(schedule=wanted)
