"""Limits of a provider's queue on a real engine: changed while workers run, over all of them, and taken back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.lanes import LaneAction
from contracts.names import provider_queue
from db import keys, lanes
from db.engine import Database
from db.lanes import Decision
from engine.queue_limits import QueueLimits
from engine.worker_versions import WorkerVersions
from errors import DatabaseUnavailable, EngineUnavailable
from temporal_client import connect
from tests.integration.conftest import Tables
from tests.integration.patience import waiting_for
from tests.temporal_servers import dev_server
from worker_parts import queue_limits
from worker_parts.queue_limits import LimitKeeper, limits_kept
from worker_parts.release import release_of

STORY = "test.Pictures"
OWN_LIMIT = 50.0  # what workers bring along, activities a second
NEARLY_NOTHING = 0.01  # one in 100 seconds: a test that lasts seconds sees the first of them only
SHARE = 0.5
# The engine counts by partition; with several, each has its own first moment.
ONE_PARTITION = {"matching.numTaskqueueReadPartitions": "1", "matching.numTaskqueueWritePartitions": "1"}


@workflow.defn(name=STORY)
class Pictures:
    """So many activities at once, on the queue of a provider."""

    @workflow.run
    async def run(self, queue: str, count: int) -> None:
        await asyncio.gather(*(self._one(queue) for _ in range(count)))

    @staticmethod
    async def _one(queue: str) -> None:
        await workflow.execute_activity("picture", task_queue=queue, start_to_close_timeout=timedelta(minutes=1))


class Studio:
    """Workers of one provider's queue, and how many pictures they began."""

    def __init__(self, client: Client, provider: str) -> None:
        self.client = client
        self.provider = provider
        self.queue = provider_queue(provider)
        self.limits = QueueLimits(client)
        self.begun = 0

    @asynccontextmanager
    async def workers(self, build_id: str | None = None) -> AsyncIterator[None]:
        """Of this release, or of none."""
        release = release_of(self.provider, build_id)

        @activity.defn(name="picture")
        async def make() -> None:
            self.begun += 1

        async with AsyncExitStack() as stack:
            runner = UnsandboxedWorkflowRunner()
            main = f"{self.queue}-main"
            story = Worker(
                self.client, task_queue=main, workflows=[Pictures], workflow_runner=runner, deployment_config=release
            )
            await stack.enter_async_context(story)
            await stack.enter_async_context(
                Worker(
                    self.client,
                    task_queue=self.queue,
                    activities=[make],
                    max_task_queue_activities_per_second=OWN_LIMIT,
                    deployment_config=release,
                )
            )
            if build_id is not None:
                await WorkerVersions(self.client, self.provider).promote(build_id, within_s=120)
            yield

    async def start(self, count: int) -> WorkflowHandle[Pictures, None]:
        return await self.client.start_workflow(
            Pictures.run, args=[self.queue, count], id=f"{self.queue}/{uuid4()}", task_queue=f"{self.queue}-main"
        )

    async def comes_to_have(self, per_second: float | None) -> None:
        """Until the engine tells of this limit, which can be a moment after it was set."""
        await until(lambda: self.limits.per_second(self.queue), per_second)

    async def holds(self) -> tuple[float, int]:
        """What the engine says it hands out a second, and whose word that is."""
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=self.queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            report_config=True,
        )
        found = (await self.client.workflow_service.describe_task_queue(request)).effective_rate_limit
        return round(found.requests_per_second, 3), found.rate_limit_source


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Look until it is so."""
    async with waiting_for(str(wanted)):
        while True:
            with suppress(EngineUnavailable):  # for a moment, on a busy machine
                if await look() == wanted:
                    return
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(settings=ONE_PARTITION) as environment:
        yield environment


@pytest.fixture
async def studio(engine: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> Studio:
    for module in ("queue_limits", "worker_versions"):
        monkeypatch.setattr(f"engine.{module}.RPC_TIMEOUT", timedelta(minutes=1))
    client = await connect(engine.client.service_client.config.target_host)
    return Studio(client, f"test-{uuid4().hex[:8]}")


async def test_a_limit_that_is_set_beats_the_workers_own_and_stays_when_they_restart(studio: Studio) -> None:
    async with studio.workers():
        await until(studio.holds, (OWN_LIMIT, RateLimitSource.RATE_LIMIT_SOURCE_WORKER))
        await studio.limits.set(studio.queue, 5.0, reason="a test")
        await until(studio.holds, (5.0, RateLimitSource.RATE_LIMIT_SOURCE_API))
    async with studio.workers():
        await (await studio.start(1)).result()

        assert await studio.holds() == (5.0, RateLimitSource.RATE_LIMIT_SOURCE_API)
        assert await studio.limits.per_second(studio.queue) == 5.0


async def test_a_limit_that_is_taken_back_leaves_the_workers_own(studio: Studio) -> None:
    async with studio.workers():
        assert await studio.limits.per_second(studio.queue) is None
        await studio.limits.set(studio.queue, 5.0, reason="a test")
        await studio.comes_to_have(5.0)
        await studio.limits.set(studio.queue, None, reason="a test")
        await studio.comes_to_have(None)

        await until(studio.holds, (OWN_LIMIT, RateLimitSource.RATE_LIMIT_SOURCE_WORKER))
        assert await studio.limits.per_second(studio.queue) is None


@pytest.mark.parametrize("build_id", [None, "1"])
async def test_pictures_wait_for_a_limit_and_go_on_when_it_is_taken_back(studio: Studio, build_id: str | None) -> None:
    async def more_begun() -> bool:
        return studio.begun > 1

    async with studio.workers(build_id):
        await (await studio.start(1)).result()
        await studio.limits.set(studio.queue, NEARLY_NOTHING, reason="a test")
        await until(studio.holds, (NEARLY_NOTHING, RateLimitSource.RATE_LIMIT_SOURCE_API))
        waiting = await studio.start(6)
        await until(more_begun, wanted=True)
        begun_under_the_limit = studio.begun
        await studio.limits.set(studio.queue, None, reason="a test")
        await waiting.result()

    assert begun_under_the_limit < 7
    assert studio.begun == 7


async def test_an_engine_that_is_away_is_named() -> None:
    away = QueueLimits(await connect("127.0.0.1:9", lazy=True))

    with pytest.raises(EngineUnavailable):
        await away.per_second("any")
    with pytest.raises(EngineUnavailable):
        await away.set("any", 1.0, reason="a test")


async def limit(database: Database, provider: str, creates_per_minute: int | None) -> None:
    """What an operator does, over the API."""
    key = keys.new_key()
    async with database.transaction() as session:
        await keys.ensure_key(session, key, pepper="pepper", tenant_name=key, operator=True)
        decision = Decision(key.split("_")[1], provider, "", f"a test {uuid4()}")
        await lanes.set_limit(session, decision, creates_per_minute)


async def test_every_worker_brings_an_operators_limit_to_the_engine_and_takes_it_back(
    tables: Tables, studio: Studio
) -> None:
    keepers = [LimitKeeper(tables.database, studio.limits, [studio.provider], share=SHARE) for _ in range(2)]
    for wanted, per_second in ((60, 0.5), (120, 1.0), (None, None)):
        await limit(tables.database, studio.provider, wanted)
        for keeper in keepers:
            await keeper.keep()
            await studio.comes_to_have(per_second)

        assert await studio.limits.per_second(studio.queue) == per_second


async def test_a_limit_that_the_engine_lost_is_brought_again_by_a_worker_that_asks(
    tables: Tables, studio: Studio
) -> None:
    keeper = LimitKeeper(tables.database, studio.limits, [studio.provider], share=SHARE)
    await limit(tables.database, studio.provider, 60)
    await keeper.keep()
    await studio.comes_to_have(0.5)
    await studio.limits.set(studio.queue, None, reason="somebody else")
    await studio.comes_to_have(None)
    await keeper.keep()
    remembered = await studio.limits.per_second(studio.queue)
    keeper.forget()
    await keeper.keep()
    await studio.comes_to_have(0.5)

    assert remembered is None


async def test_a_paused_lane_has_no_limit_of_its_own(tables: Tables, studio: Studio) -> None:
    key = keys.new_key()
    async with tables.database.transaction() as session:
        await keys.ensure_key(session, key, pepper="pepper", tenant_name=key, operator=True)
        await lanes.set_mode(session, Decision(key.split("_")[1], studio.provider, "", "a test"), LaneAction.pause)
    await LimitKeeper(tables.database, studio.limits, [studio.provider], share=SHARE).keep()

    assert await studio.limits.per_second(studio.queue) is None


async def test_while_a_worker_runs_a_limit_reaches_the_engine_by_itself(
    tables: Tables, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_limits, "LOOK_EVERY_S", 0.05)

    async with limits_kept(LimitKeeper(tables.database, studio.limits, [studio.provider], share=SHARE)):
        for wanted, per_second in ((60, 0.5), (120, 1.0), (None, None)):
            await limit(tables.database, studio.provider, wanted)
            await studio.comes_to_have(per_second)


async def test_without_a_database_the_engine_keeps_the_limit_that_it_has(studio: Studio) -> None:
    database = Database("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    await studio.limits.set(studio.queue, 5.0, reason="a test")
    await studio.comes_to_have(5.0)
    with pytest.raises(DatabaseUnavailable):
        await LimitKeeper(database, studio.limits, [studio.provider], share=SHARE).keep()
    await database.close()

    assert await studio.limits.per_second(studio.queue) == 5.0
