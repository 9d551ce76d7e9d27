"""The releases of the worker as the engine knows them: which one gets new runs, and which still have runs of their own."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client, WorkflowExecution
from temporalio.common import PinnedVersioningOverride, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode

from engine.starts import RPC_TIMEOUT
from errors import EngineUnavailable, NotFound, WorkerVersionNotReady

# A new worker's queues are known to the engine about a second after it began to poll them.
ASK_AGAIN_S: Final = 0.5
# By the number in the engine's protocol; a version is `inactive` until it is promoted.
STATUSES: Final = {1: "inactive", 2: "current", 3: "ramping", 4: "draining", 5: "drained", 6: "inactive"}
# The engine says "too many requests" while it changes something about the deployment; that takes a second or two.
BUSY_FOR: Final = 20  # times `ASK_AGAIN_S`
NOT_YET: Final = frozenset(
    {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.RESOURCE_EXHAUSTED}
)
# The answer may be lost only: to promote what is promoted already changes nothing.
# The client's own RPC_TIMEOUT comes as CANCELLED.
NO_ANSWER: Final = frozenset({RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE})

VersionSummary = WorkerDeploymentInfo.WorkerDeploymentVersionSummary


@dataclass(frozen=True, slots=True)
class WorkerVersion:
    """One release: `status` is inactive, current, ramping, draining or drained; `running` counts its pinned runs."""

    build_id: str
    status: str
    running: int
    had_its_turn: bool  # it is, or was, the one that new runs went to


class WorkerVersions:
    """Asks and tells the engine about one deployment. Every method raises EngineUnavailable when it is away."""

    def __init__(self, client: Client, deployment: str) -> None:
        self._client = client
        self._deployment = deployment

    async def all(self) -> list[WorkerVersion]:
        """The versions that the engine remembers, newest first; it forgets drained ones without workers in time."""
        with _told_in_our_words():
            summaries = sorted(await self._summaries(), key=lambda one: one.create_time.ToNanoseconds(), reverse=True)
            return [await self._version(summary) for summary in summaries]

    async def one(self, build_id: str) -> WorkerVersion:
        """This version. Raises NotFound."""
        with _told_in_our_words():
            for summary in await self._summaries():
                if summary.deployment_version.build_id == build_id:
                    return await self._version(summary)
        raise NotFound(f"The engine knows no worker of release {build_id}.")

    async def promote(self, build_id: str, *, within_s: float) -> None:
        """Have new runs go to this version. An engine that gives no answer is asked again up to then, too.

        Raises WorkerVersionNotReady: no workers of it poll all queues by then. Raises EngineUnavailable: no answer until then.
        """
        await self._promote(build_id, within_s=within_s, again_after=NOT_YET | NO_ANSWER)

    async def _promote(self, build_id: str, *, within_s: float, again_after: Collection[RPCStatusCode]) -> None:
        refusal, away = "", None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        await self._make_current(build_id)
                    except RPCError as error:
                        if error.status not in again_after:
                            raise EngineUnavailable from error
                        refusal, away = error.message, error if error.status in NO_ANSWER else None
                    else:
                        return
                    await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            if away is not None:
                raise EngineUnavailable from away
            raise WorkerVersionNotReady(f"{build_id} was not promoted: {refusal}") from None

    async def promote_when_new(self, build_id: str) -> bool:
        """Promote a version that never had its turn; an old worker that restarts must not take new runs back.

        Raises WorkerVersionNotReady: ask again.
        """
        try:
            if (await self.one(build_id)).had_its_turn:
                return False
        except NotFound:
            raise WorkerVersionNotReady(f"{build_id} is not known yet") from None
        # Where an answer is lost, others may have had their turn after it: the caller asks again, and that is seen.
        await self._promote(build_id, within_s=10, again_after=NOT_YET)
        return True

    async def runs(self, build_id: str) -> AsyncIterator[WorkflowExecution]:
        """The runs that are pinned to this version and have not ended."""
        with _told_in_our_words():
            async for found in self._client.list_workflows(self._query(build_id)):
                yield found

    async def move(self, run: WorkflowExecution, build_id: str) -> None:
        """Have another version go on with this run. Whether its code understands the run's history is the caller's to know."""
        override = PinnedVersioningOverride(WorkerDeploymentVersion(self._deployment, build_id))
        request = UpdateWorkflowExecutionOptionsRequest(
            namespace=self._client.namespace,
            workflow_execution=ExecutionId(workflow_id=run.id, run_id=run.run_id),
            workflow_execution_options=WorkflowExecutionOptions(versioning_override=override._to_proto()),  # noqa: SLF001 - the SDK has no public way
        )
        request.update_mask.paths.append("versioning_override")
        with _told_in_our_words():
            await self._client.workflow_service.update_workflow_execution_options(request, timeout=RPC_TIMEOUT)

    async def _summaries(self) -> list[VersionSummary]:
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self._deployment)
        for _ in range(BUSY_FOR):
            try:
                found = await self._client.workflow_service.describe_worker_deployment(request, timeout=RPC_TIMEOUT)
                return list(found.worker_deployment_info.version_summaries)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:  # no worker with a version was ever here
                    return []
                if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                    raise
            await asyncio.sleep(ASK_AGAIN_S)
        raise EngineUnavailable

    async def _version(self, summary: VersionSummary) -> WorkerVersion:
        build_id = summary.deployment_version.build_id
        counted = await self._client.count_workflows(self._query(build_id), rpc_timeout=RPC_TIMEOUT)
        return WorkerVersion(
            build_id=build_id,
            status=STATUSES.get(summary.status, "unknown"),
            running=counted.count,
            had_its_turn=summary.HasField("first_activation_time"),
        )

    async def _make_current(self, build_id: str) -> None:
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._client.namespace, deployment_name=self._deployment, build_id=build_id
        )
        service = self._client.workflow_service
        await service.set_worker_deployment_current_version(request, timeout=RPC_TIMEOUT)

    def _query(self, build_id: str) -> str:
        version = f"{self._deployment}:{build_id}"
        pinned = "TemporalWorkflowVersioningBehavior = 'Pinned' AND ExecutionStatus = 'Running'"
        return f"TemporalWorkerDeploymentVersion = '{version}' AND {pinned}"


@contextmanager
def _told_in_our_words() -> Iterator[None]:
    try:
        yield
    except (RPCError, RuntimeError, OSError) as error:  # a client that cannot connect raises RuntimeError
        raise EngineUnavailable from error
