"""Every way in which the deletion of a session can go."""

from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.names import ACTIVITY_DELETE_SESSION, MAIN_QUEUE, WORKFLOW_DELETE_SESSION
from contracts.pictures import SessionDeletion
from tests.replay.recording import Handle, Outcome
from workflows.delete_session import PAUSES, DeleteSession

AWAY = ApplicationError("the store is away", type="storage_unavailable")


def deleted(*answers: int | ApplicationError) -> Outcome:
    """A deletion whose rounds find so many generations that are still ending, or fail."""

    async def run_to_the_end(client: Client) -> Handle:
        left = list(answers)

        @activity.defn(name=ACTIVITY_DELETE_SESSION)
        async def delete_session(_deletion: SessionDeletion) -> int:
            answer = left.pop(0)
            if isinstance(answer, ApplicationError):
                raise answer
            return answer

        worker = Worker(
            client,
            task_queue=MAIN_QUEUE,
            workflows=[DeleteSession],
            activities=[delete_session],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            deletion = SessionDeletion(tenant_id=UUID(int=1), session_id="s")
            handle = await client.start_workflow(
                WORKFLOW_DELETE_SESSION, deletion, id="session-delete/s", task_queue=MAIN_QUEUE, result_type=type(None)
            )
            await handle.result()
        return handle

    return run_to_the_end


OUTCOMES: dict[str, Outcome] = {
    "delete_session-nothing-running": deleted(0),
    "delete_session-still-ending": deleted(2, 1, 0),
    "delete_session-given-up": deleted(*[1] * len(PAUSES)),
    "delete_session-store-away": deleted(AWAY, AWAY, 0),
}
