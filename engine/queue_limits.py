"""How fast the engine hands out the activities of a task queue: changed while everything runs, and over the whole fleet.

What is set here stands at the server, whoever polls: it beats the limit that workers bring along, it stays when they
restart, and where it is taken back the workers' own holds again.
"""

from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError

from engine.starts import RPC_TIMEOUT
from errors import EngineUnavailable

OF_ACTIVITIES: Final = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
RateLimitUpdate = UpdateTaskQueueConfigRequest.RateLimitUpdate


class QueueLimits:
    """Asks and tells the engine about the limits of queues. Every method raises EngineUnavailable when it is away."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def per_second(self, queue: str) -> float | None:
        """How many activities a second were set for this queue; None: nothing was, and the workers' own limit holds."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=OF_ACTIVITIES,
            report_config=True,
        )
        try:
            found = await self._client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        except (RPCError, RuntimeError, OSError) as error:  # a client that cannot connect raises RuntimeError
            raise EngineUnavailable from error
        limit = found.config.queue_rate_limit
        return limit.rate_limit.requests_per_second if limit.HasField("rate_limit") else None

    async def set(self, queue: str, per_second: float | None, *, reason: str) -> None:
        """Limit a queue to so many activities a second; None: the workers' own limit holds again."""
        limit = None if per_second is None else RateLimit(requests_per_second=per_second)
        request = UpdateTaskQueueConfigRequest(
            namespace=self._client.namespace,
            identity=self._client.identity,
            task_queue=queue,
            task_queue_type=OF_ACTIVITIES,
            update_queue_rate_limit=RateLimitUpdate(rate_limit=limit, reason=reason),
        )
        try:
            await self._client.workflow_service.update_task_queue_config(request, timeout=RPC_TIMEOUT)
        except (RPCError, RuntimeError, OSError) as error:
            raise EngineUnavailable from error
