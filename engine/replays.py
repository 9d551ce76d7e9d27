"""Whether a run that goes on could go on with other code: its history, told to that code."""

from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecution
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

# An explanation is for one line on a screen.
LONGEST_WORD = 200


class Replays:
    """Replays histories of `client`'s engine with these workflows."""

    def __init__(self, client: Client, workflows: Sequence[type]) -> None:
        self._client = client
        self._replayer = Replayer(
            workflows=workflows,
            data_converter=client.data_converter,
            workflow_runner=UnsandboxedWorkflowRunner(),
        )

    async def trouble(self, run: WorkflowExecution) -> str | None:
        """Why this run cannot go on with this code; None: it can."""
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            result = await self._replayer.replay_workflow(await handle.fetch_history(), raise_on_replay_failure=False)
        except ValueError as unknown:  # no such workflow in this release
            return str(unknown)[:LONGEST_WORD]
        failure = result.replay_failure
        return None if failure is None else f"{type(failure).__name__}: {failure}"[:LONGEST_WORD]
