"""Releases of the worker on a real engine: who goes on with a run when its story changes while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import VersioningOverride
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from engine.replays import Replays
from engine.starts import FOLLOWS_RELEASES
from engine.worker_versions import WorkerVersions
from errors import NotFound, WorkerVersionNotReady
from temporal_client import connect
from tests.temporal_servers import dev_server
from worker_parts.release import coming_to_its_turn, release_of

STORY = "test.Story"
# By default the engine looks for drained versions every few minutes, and trusts its index after some more.
QUICK = ("matching.wv.VersionDrainageStatusRefreshInterval", "matching.wv.VersionDrainageStatusVisibilityGracePeriod")


def provider_queue(queue: str) -> str:
    return f"{queue}-provider"


async def picture(name: str) -> str:
    """One picture, made on the provider's queue."""
    made: str = await workflow.execute_activity(
        "picture",
        name,
        task_queue=provider_queue(workflow.info().task_queue),
        start_to_close_timeout=timedelta(minutes=1),
        heartbeat_timeout=timedelta(seconds=2),
    )
    return made


@workflow.defn(name=STORY)
class AvatarThenScene:
    """The story as the old release tells it."""

    @workflow.run
    async def run(self) -> list[str]:
        return [await picture("avatar"), await picture("scene")]


@workflow.defn(name=STORY)
class SketchFirst:
    """The same story as a new release tells it: no history of the old one fits it."""

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.sleep(0.01)
        return [await picture("sketch"), await picture("avatar")]


@workflow.defn(name=STORY)
class AvatarThenBackground:
    """The old story, changed after its first picture: an old run that still makes that one fits it."""

    @workflow.run
    async def run(self) -> list[str]:
        return [await picture("avatar"), await picture("background")]


@workflow.defn(name=STORY)
class Patched:
    """The new story, which still knows the old one."""

    @workflow.run
    async def run(self) -> list[str]:
        if workflow.patched("sketch-first"):
            return [await picture("sketch"), await picture("avatar")]
        return [await picture("avatar"), await picture("scene")]


class Studio:
    """Makes pictures on the workers of every release; an avatar only when the test lets it.

    A deployment has queues of its own: the engine would send what waits in a queue to whichever was promoted last.
    """

    def __init__(self, client: Client, deployment: str) -> None:
        self.client = client
        self.deployment = deployment
        self.versions = WorkerVersions(client, deployment)
        self.avatar_begun = asyncio.Event()
        self.avatar_may_end = asyncio.Event()

    @asynccontextmanager
    async def release(self, build_id: str | None, story: type) -> AsyncIterator[None]:
        """Workers of one release, on both queues."""

        @activity.defn(name="picture")
        async def make(name: str) -> str:
            if name == "avatar":
                self.avatar_begun.set()
                while not self.avatar_may_end.is_set():
                    activity.heartbeat()
                    await asyncio.sleep(0.05)
            return f"{name} by {build_id}"

        release = release_of(self.deployment, build_id)
        async with AsyncExitStack() as stack:
            runner = UnsandboxedWorkflowRunner()
            main = Worker(
                self.client,
                task_queue=self.deployment,
                workflows=[story],
                workflow_runner=runner,
                deployment_config=release,
            )
            pictures = Worker(
                self.client, task_queue=provider_queue(self.deployment), activities=[make], deployment_config=release
            )
            for worker in (main, pictures):
                await stack.enter_async_context(worker)
            yield

    async def start(self, name: str, override: VersioningOverride | None = None) -> WorkflowHandle[Any, list[str]]:
        return await self.client.start_workflow(
            STORY,
            id=f"{self.deployment}/{name}",
            task_queue=self.deployment,
            result_type=list[str],
            versioning_override=override,
        )

    async def start_waiting(self, override: VersioningOverride | None = None) -> WorkflowHandle[Any, list[str]]:
        """A run that waits for its avatar."""
        handle = await self.start("old", override)
        await self.avatar_begun.wait()
        return handle

    async def status(self, build_id: str) -> str:
        return next((one.status for one in await self.versions.all() if one.build_id == build_id), "unknown")


async def until(look: Callable[[], Coroutine[Any, Any, Any]], wanted: object) -> None:
    """Look until it is so; the limit only ends a broken test."""
    async with asyncio.timeout(120):
        while await look() != wanted:  # noqa: ASYNC110  the engine's view raises no event here
            await asyncio.sleep(0.5)  # asked more often, the engine refuses to answer


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(settings=dict.fromkeys(QUICK, '"1s"')) as environment:
        yield environment


@pytest.fixture
async def studio(engine: WorkflowEnvironment, request: pytest.FixtureRequest) -> Studio:
    client = await connect(engine.client.service_client.config.target_host)
    return Studio(client, request.function.__name__)


async def test_a_run_ends_with_the_release_that_began_it_and_new_runs_go_to_the_promoted_one(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
        async with studio.release("2", SketchFirst):
            await studio.versions.promote("2", within_s=120)
            new = await studio.start("new")
            await until(lambda: studio.status("1"), "draining")
            assert (await studio.versions.one("1")).running == 1
            studio.avatar_may_end.set()

            assert await old.result() == ["avatar by 1", "scene by 1"]
            assert await new.result() == ["sketch by 2", "avatar by 2"]
            await until(lambda: studio.status("1"), "drained")
            found = [(one.build_id, one.status, one.running) for one in await studio.versions.all()]
            assert found == [("2", "current", 0), ("1", "drained", 0)]


async def test_a_run_whose_release_is_gone_waits_until_it_is_moved_to_one_that_understands_it(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
    studio.avatar_may_end.set()
    async with studio.release("2", AvatarThenBackground):
        await studio.versions.promote("2", within_s=120)
        await until(lambda: _attempts(old), 2)  # the dead attempt was noticed, and nobody may make the next
        (stranded,) = [run async for run in studio.versions.runs("1")]
        assert await Replays(studio.client, [AvatarThenBackground]).trouble(stranded) is None
        await studio.versions.move(stranded, "2")

        assert await old.result() == ["avatar by 2", "background by 2"]


async def _attempts(handle: WorkflowHandle[Any, list[str]]) -> int:
    pending = (await handle.describe()).raw_description.pending_activities
    return max((one.attempt for one in pending), default=0)


async def test_a_release_that_does_not_understand_a_run_is_found_out_before_the_run_is_moved(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
        (run,) = [run async for run in studio.versions.runs("1")]
        trouble = await Replays(studio.client, [SketchFirst]).trouble(run)
        studio.avatar_may_end.set()
        await old.result()

    assert trouble is not None
    assert trouble.startswith("NondeterminismError")


async def test_a_run_that_lasts_days_follows_the_releases_and_keeps_no_old_one(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting(FOLLOWS_RELEASES)
        async with studio.release("2", AvatarThenBackground):
            await studio.versions.promote("2", within_s=120)
            await until(lambda: studio.status("1"), "drained")
            assert (await studio.versions.one("1")).running == 0
            studio.avatar_may_end.set()

            assert (await old.result())[1] == "background by 2"


async def test_a_run_that_began_before_there_were_releases_goes_on_with_the_first_of_them(studio: Studio) -> None:
    async with studio.release(None, AvatarThenScene):
        old = await studio.start_waiting()
    studio.avatar_may_end.set()
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)

        assert await old.result() == ["avatar by 1", "scene by 1"]


async def test_a_release_promotes_itself_once_and_an_old_worker_that_restarts_takes_nothing_back(
    studio: Studio,
) -> None:
    async with studio.release("1", AvatarThenScene), coming_to_its_turn(studio.versions, "1", promotes_itself=True):
        await until(lambda: studio.status("1"), "current")
        async with studio.release("2", SketchFirst), coming_to_its_turn(studio.versions, "2", promotes_itself=True):
            await until(lambda: studio.status("2"), "current")
            assert not await studio.versions.promote_when_new("1")
            assert await studio.status("2") == "current"

            await studio.versions.promote("1", within_s=120)  # the way back
            assert await studio.status("1") == "current"


async def test_a_release_without_workers_is_not_promoted_and_not_known(studio: Studio) -> None:
    with pytest.raises(WorkerVersionNotReady):
        await studio.versions.promote("nobody", within_s=0.1)
    with pytest.raises(NotFound):
        await studio.versions.one("nobody")

    assert await studio.versions.all() == []


async def test_a_patched_story_ends_old_runs_as_they_began_and_tells_new_ones_anew(studio: Studio) -> None:
    async with studio.release(None, AvatarThenScene):
        old = await studio.start_waiting()
    studio.avatar_may_end.set()
    async with studio.release(None, Patched):
        new = await studio.start("new")

        assert await old.result() == ["avatar by None", "scene by None"]
        assert await new.result() == ["sketch by None", "avatar by None"]
    replayer = Replayer(
        workflows=[Patched], data_converter=studio.client.data_converter, workflow_runner=UnsandboxedWorkflowRunner()
    )
    for handle in (old, new):
        await replayer.replay_workflow(await handle.fetch_history())
