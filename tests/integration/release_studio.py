"""Stories of several releases, and the workers that tell them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecution, WorkflowHandle
from temporalio.common import VersioningOverride
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from engine.worker_versions import WorkerVersions
from errors import EngineUnavailable
from tests.integration.patience import waiting_for
from worker_parts.release import release_of

Seen = TypeVar("Seen")

STORY = "test.Story"


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

    async def becomes(self, build_id: str, status: str) -> None:
        await until(lambda: self.status(build_id), lambda seen: seen == status, what=f"release {build_id} {status}")

    async def pinned(self, build_id: str) -> WorkflowExecution:
        """The only run of this release."""

        async def runs() -> list[WorkflowExecution]:
            return [run async for run in self.versions.runs(build_id)]

        (run,) = await until(runs, bool, what=f"a run of release {build_id}")
        return run


async def until(look: Callable[[], Awaitable[Seen]], good: Callable[[Seen], bool], *, what: str) -> Seen:
    """What is seen as soon as it is good: the engine's index lags behind what it does."""
    async with waiting_for(what):
        while True:
            with suppress(EngineUnavailable):  # for a moment, on a busy machine
                if good(seen := await look()):
                    return seen
            await asyncio.sleep(0.5)  # asked more often, the engine refuses to answer
