"""Delete a session: the pictures that are there now, and those of generations that are still ending."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.sessions import SessionActivities
from contracts.names import MAIN_QUEUE, WORKFLOW_DELETE_SESSION
from contracts.pictures import SessionDeletion

# Canceled generations end within seconds; those that do not are looked at again with growing pauses.
PAUSES = (timedelta(seconds=2), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))


@workflow.defn(name=WORKFLOW_DELETE_SESSION)
class DeleteSession:
    """Runs until nothing of the session is left in the store."""

    @workflow.run
    async def run(self, deletion: SessionDeletion) -> None:
        """Delete, wait for what still runs, delete again."""
        for pause in PAUSES:
            running = await workflow.execute_activity_method(
                SessionActivities.delete_session,
                deletion,
                task_queue=MAIN_QUEUE,
                start_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
                summary=f"delete session {deletion.session_id}",
            )
            if not running:
                return
            await workflow.sleep(pause, summary=f"{running} generations are still ending")
