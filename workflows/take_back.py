"""Take back and close a generation whose own workflow was ended from outside: terminated, failed, or timed out."""

from datetime import timedelta

from temporalio import workflow

from activities.generations import GenerationActivities
from contracts.names import WORKFLOW_TAKE_BACK
from contracts.pictures import Begun, Failure, GenerationInput
from errors import GenerationCanceled, WorkflowEnded
from workflows.generation import take_back_and_close
from workflows.saga import Saga
from workflows.transactions import TRANSACTION, UNTIL_IT_WORKS

# Longer than a run waits, because nobody knows what heartbeat the ended run had agreed on.
HEARTBEAT = timedelta(seconds=60)


@workflow.defn(name=WORKFLOW_TAKE_BACK)
class TakeBack:
    """Started by the reconciler; harmless when the generation has ended meanwhile."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        """Undo every step that has left something, newest first, then close: canceled if that was asked for, else failed."""
        begun = await self._begun(given)
        if begun.ended:
            return
        saga = Saga(given)
        saga.heartbeat = HEARTBEAT
        for step in begun.steps:
            saga.remember(step)
        if begun.canceled:
            canceled = Failure(code=GenerationCanceled.code, detail=GenerationCanceled.title)
            await take_back_and_close(given, saga, "canceled", canceled)
        else:
            failed = Failure(code=WorkflowEnded.code, detail=WorkflowEnded.title)
            await take_back_and_close(given, saga, "failed", failed)

    async def _begun(self, given: GenerationInput) -> Begun:
        return await workflow.execute_local_activity_method(
            GenerationActivities.begun,
            given,
            start_to_close_timeout=TRANSACTION,
            retry_policy=UNTIL_IT_WORKS,
            summary="what was begun",
        )
