"""Releases of the worker on a real engine: who goes on with a run when its story changes while it runs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from engine import worker_versions
from engine.replays import Replays
from engine.starts import FOLLOWS_RELEASES
from engine.worker_versions import NO_ANSWER, WorkerVersion, WorkerVersions
from errors import EngineUnavailable, NotFound, WorkerVersionNotReady
from temporal_client import connect
from tests.integration.release_studio import AvatarThenBackground, AvatarThenScene, Patched, SketchFirst, Studio, until
from tests.temporal_servers import dev_server
from worker_parts.release import coming_to_its_turn

# By default the engine looks for drained versions every few minutes, and trusts its index after some more.
QUICK = ("matching.wv.VersionDrainageStatusRefreshInterval", "matching.wv.VersionDrainageStatusVisibilityGracePeriod")


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(settings=dict.fromkeys(QUICK, '"1s"')) as environment:
        yield environment


@pytest.fixture
async def studio(
    engine: WorkflowEnvironment, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Studio:
    monkeypatch.setattr(worker_versions, "RPC_TIMEOUT", timedelta(minutes=1))
    client = await connect(engine.client.service_client.config.target_host)
    return Studio(client, request.function.__name__)


async def test_a_run_ends_with_the_release_that_began_it_and_new_runs_go_to_the_promoted_one(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
        async with studio.release("2", SketchFirst):
            await studio.versions.promote("2", within_s=120)
            new = await studio.start("new")
            await studio.becomes("1", "draining")
            await until(
                lambda: studio.versions.one("1"), lambda one: one.running == 1, what="a running one of release 1"
            )
            studio.avatar_may_end.set()

            assert await old.result() == ["avatar by 1", "scene by 1"]
            assert await new.result() == ["sketch by 2", "avatar by 2"]
            wanted = [("2", "current", 0), ("1", "drained", 0)]
            await until(studio.versions.all, lambda found: list(map(told, found)) == wanted, what=str(wanted))


async def test_a_run_whose_release_is_gone_waits_until_it_is_moved_to_one_that_understands_it(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
    studio.avatar_may_end.set()
    async with studio.release("2", AvatarThenBackground):
        await studio.versions.promote("2", within_s=120)
        # the dead attempt was noticed, and nobody may make the next
        await until(lambda: _attempts(old), lambda attempts: attempts >= 2, what="a second attempt")
        stranded = await studio.pinned("1")
        assert await Replays(studio.client, [AvatarThenBackground]).trouble(stranded) is None
        await studio.versions.move(stranded, "2")

        assert await old.result() == ["avatar by 2", "background by 2"]


def told(version: WorkerVersion) -> tuple[str, str, int]:
    return version.build_id, version.status, version.running


async def _attempts(handle: WorkflowHandle[Any, list[str]]) -> int:
    pending = (await handle.describe()).raw_description.pending_activities
    return max((one.attempt for one in pending), default=0)


async def test_a_release_that_does_not_understand_a_run_is_found_out_before_the_run_is_moved(studio: Studio) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)
        old = await studio.start_waiting()
        run = await studio.pinned("1")
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
            await studio.becomes("1", "drained")
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
        await studio.becomes("1", "current")
        async with studio.release("2", SketchFirst), coming_to_its_turn(studio.versions, "2", promotes_itself=True):
            await studio.becomes("2", "current")
            assert not await studio.versions.promote_when_new("1")
            assert await studio.status("2") == "current"

            await studio.versions.promote("1", within_s=120)  # the way back
            assert await studio.status("1") == "current"


@pytest.fixture
def promotions(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those that the engine made; of the first ones the answer is lost, each in another way."""
    made: list[str] = []
    lost = list(NO_ANSWER)
    make_current = studio.versions._make_current

    async def make_current_and_lose_the_answer(build_id: str) -> None:
        await make_current(build_id)
        made.append(build_id)
        if lost:
            raise RPCError("lost", lost.pop(), b"")

    monkeypatch.setattr(studio.versions, "_make_current", make_current_and_lose_the_answer)
    return made


async def test_a_promotion_whose_answer_is_lost_is_asked_for_again(studio: Studio, promotions: list[str]) -> None:
    async with studio.release("1", AvatarThenScene):
        await studio.versions.promote("1", within_s=120)

        assert len(promotions) == len(NO_ANSWER) + 1
        assert await studio.status("1") == "current"


async def test_a_release_that_promotes_itself_and_hears_no_answer_looks_whether_it_had_its_turn(
    studio: Studio, promotions: list[str]
) -> None:
    async with studio.release("1", AvatarThenScene):
        async with coming_to_its_turn(studio.versions, "1", promotes_itself=True):
            await studio.becomes("1", "current")

        assert not await studio.versions.promote_when_new("1")
    assert len(promotions) == 1


async def test_an_engine_that_gives_no_answer_up_to_the_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_versions, "ASK_AGAIN_S", 0.01)
    versions = WorkerVersions(await connect("127.0.0.1:9", lazy=True), "any")

    async def unanswered(_build_id: str) -> None:
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr(versions, "_make_current", unanswered)
    with pytest.raises(EngineUnavailable):
        await versions.promote("1", within_s=0.2)


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
