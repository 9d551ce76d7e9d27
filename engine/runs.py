"""Where the engine's runs of workflows stand, asked by their ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from engine.starts import RPC_TIMEOUT, Start
from errors import EngineUnavailable


@dataclass(frozen=True, slots=True)
class RunState:
    """One workflow as the engine knows it; `closed_at` is None while it runs."""

    ended_as: str  # running, completed, failed, canceled, terminated, timed_out, continued_as_new
    closed_at: datetime | None
    cancel_requested: bool

    @property
    def is_running(self) -> bool:
        """Whether it goes on by itself."""
        return self.closed_at is None


class Runs:
    """Asks the engine, and tells it to start and to cancel. Every method raises EngineUnavailable when it is away."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def state(self, workflow_id: str) -> RunState | None:
        """Where the newest run of this id stands; None: the engine has none."""
        with _told_in_our_words():
            try:
                found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        extended = found.raw_description.workflow_extended_info
        return RunState(
            ended_as=(found.status or WorkflowExecutionStatus.RUNNING).name.lower(),
            closed_at=found.close_time,
            cancel_requested=extended.cancel_requested,
        )

    async def start(self, start: Start) -> None:
        """Start a workflow; harmless when it was started before."""
        with _told_in_our_words():
            await start.send(self._client)

    async def cancel(self, workflow_id: str) -> None:
        """Ask a workflow to stop; harmless when it has ended."""
        with _told_in_our_words():
            try:
                await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise


@contextmanager
def _told_in_our_words() -> Iterator[None]:
    try:
        yield
    except (RPCError, RuntimeError, OSError) as error:  # a client that cannot connect raises RuntimeError
        raise EngineUnavailable from error
