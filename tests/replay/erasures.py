"""Every way in which an erasure can go."""

from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.erasures import ErasureOrder
from contracts.names import ACTIVITY_ATTEST, ACTIVITY_ERASE, MAIN_QUEUE, WORKFLOW_ERASE
from tests.replay.recording import Handle, Outcome
from workflows.erase import PAUSES, Erase

AWAY = ApplicationError("the store is away", type="storage_unavailable")
Answer = int | bool | ApplicationError


def erased(erases: list[Answer], attests: list[Answer], *, first_run: bool = False) -> Outcome:
    """An erasure whose rounds leave so many generations that still run, and whose looks find nothing (True), or fail."""

    async def run_to_the_end(client: Client) -> Handle:
        running, clean = list(erases), list(attests)

        @activity.defn(name=ACTIVITY_ERASE)
        async def erase(_order: ErasureOrder) -> int:
            return int(_play(running.pop(0)))

        @activity.defn(name=ACTIVITY_ATTEST)
        async def attest(_order: ErasureOrder) -> bool:
            return bool(_play(clean.pop(0)))

        worker = Worker(
            client,
            task_queue=MAIN_QUEUE,
            workflows=[Erase],
            activities=[erase, attest],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            order = ErasureOrder(erasure_id=UUID(int=2), tenant_id=UUID(int=1))
            handle = await client.start_workflow(
                WORKFLOW_ERASE, order, id="erasure/2", task_queue=MAIN_QUEUE, result_type=type(None)
            )
            await handle.result()
        if first_run:
            return client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        return handle

    return run_to_the_end


def _play(answer: Answer) -> int | bool:
    if isinstance(answer, ApplicationError):
        raise answer
    return answer


OUTCOMES: dict[str, Outcome] = {
    "erase-nothing-running": erased([0], [True]),
    "erase-still-ending": erased([2, 1, 0], [True]),
    "erase-something-left": erased([0, 0], [False, True]),
    "erase-store-away": erased([AWAY, 0], [AWAY, True]),
    "erase-goes-on": erased([*[1] * len(PAUSES), 0], [True], first_run=True),
}
