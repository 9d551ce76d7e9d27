"""The supervisor with small Python programs as services."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from deploy.failures import NotReadyYet, ServiceFailed
from deploy.leftovers import ROOT_MARK, alive, processes_of
from deploy.service import CommandRunner, Service
from deploy.supervisor import Supervisor

SERVES = "import time, pathlib; pathlib.Path('serves').touch(); time.sleep(600)"
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES
HAS_A_CHILD = (
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); " + SERVES
)
FAILS = "import sys; print('the reason'); sys.exit(3)"


def service(name: str, root: Path, code: str = SERVES, **more: object) -> Service:
    folder = root / name

    async def serves() -> None:
        if not (folder / "serves").exists():
            raise NotReadyYet("the file is not there")

    values: dict[str, object] = {"ready": serves, "grace_s": 10, **more}
    return Service(
        name=name,
        command=(sys.executable, "-u", "-c", code),
        environment={**os.environ, ROOT_MARK: str(root)},
        folder=folder,
        **values,  # type: ignore[arg-type]
    )


class Told:
    """What the supervisor said, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, name: str, state: str) -> None:
        self.lines.append(f"{name} {state}")


def supervisor(root: Path, *services: Service, told: Told | None = None) -> Supervisor:
    return Supervisor(services, log_folder=root / "logs", on_progress=told)


async def until_gone(root: Path) -> None:
    async with asyncio.timeout(60):
        while processes_of(root):  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.02)


async def test_a_service_starts_when_those_before_it_are_ready_and_stops_before_them(tmp_path: Path) -> None:
    told = Told()
    first = service("first", tmp_path)
    second = service("second", tmp_path, after=frozenset({"first", "not-part-of-this-stack"}))
    both = supervisor(tmp_path, second, first, told=told)

    await both.start_all()
    await both.stop_all()

    starts = ["first starting", "first ready", "second starting", "second ready"]
    assert told.lines == [*starts, "second stopping", "second stopped", "first stopping", "first stopped"]
    assert processes_of(tmp_path) == []


async def test_a_service_that_ends_before_it_is_ready_is_told_with_its_words(tmp_path: Path) -> None:
    failing = supervisor(tmp_path, service("good", tmp_path), service("bad", tmp_path, FAILS))

    with pytest.raises(ServiceFailed) as failed:
        await failing.start_all()

    assert failed.value.failure.exit_code == 3
    assert failed.value.failure.last_lines == ("the reason",)
    assert "exit code 3 before it was ready" in str(failed.value)
    assert processes_of(tmp_path) == []


async def test_a_service_that_never_gets_ready_is_given_up_with_what_was_missing(tmp_path: Path) -> None:
    async def never() -> None:
        raise NotReadyYet("the moon is not full")

    waiting = supervisor(tmp_path, service("late", tmp_path, ready=never, ready_timeout_s=0.2))

    with pytest.raises(ServiceFailed, match="the moon is not full"):
        await waiting.start_all()
    assert processes_of(tmp_path) == []


async def test_a_one_shot_service_lets_the_next_start_when_it_has_succeeded(tmp_path: Path) -> None:
    told = Told()
    once = service("once", tmp_path, "pass", runs_to_end=True)
    both = supervisor(tmp_path, once, service("next", tmp_path, after=frozenset({"once"})), told=told)

    await both.start_all()
    await both.stop_all()

    assert told.lines[:3] == ["once starting", "once done", "next starting"]
    assert "once stopping" not in told.lines


async def test_a_one_shot_service_that_fails_keeps_the_next_from_starting(tmp_path: Path) -> None:
    told = Told()
    once = service("once", tmp_path, FAILS, runs_to_end=True)
    both = supervisor(tmp_path, once, service("next", tmp_path, after=frozenset({"once"})), told=told)

    with pytest.raises(ServiceFailed, match="exit code 3"):
        await both.start_all()
    assert told.lines == ["once starting", "once failed"]


async def test_a_preparation_that_fails_is_told_with_the_words_of_its_program(tmp_path: Path) -> None:
    async def prepare(run: CommandRunner) -> None:
        await run((sys.executable, "-c", FAILS))

    unprepared = supervisor(tmp_path, service("it", tmp_path, before_start=prepare))

    with pytest.raises(ServiceFailed, match="could not be prepared") as failed:
        await unprepared.start_all()
    assert failed.value.failure.last_lines == ("the reason",)


async def test_a_program_that_is_not_there_is_a_failure_with_its_name(tmp_path: Path) -> None:
    missing = Service(
        name="gone",
        command=("/no/such/program",),
        environment={ROOT_MARK: str(tmp_path)},
        folder=tmp_path,
        runs_to_end=True,
    )

    with pytest.raises(ServiceFailed, match="/no/such/program"):
        await supervisor(tmp_path, missing).start_all()


async def test_a_service_that_ignores_the_request_to_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    stubborn = supervisor(tmp_path, service("stubborn", tmp_path, IGNORES_SIGTERM, grace_s=0.1))
    await stubborn.start_all()

    await stubborn.stop_all()

    assert processes_of(tmp_path) == []


async def test_a_paused_service_can_still_be_stopped(tmp_path: Path) -> None:
    paused = supervisor(tmp_path, service("paused", tmp_path))
    await paused.start_all()
    paused.pause("paused")

    await paused.stop_all()

    assert processes_of(tmp_path) == []


async def test_what_a_service_started_ends_with_it_even_when_it_was_killed_from_outside(tmp_path: Path) -> None:
    parent = supervisor(tmp_path, service("parent", tmp_path, HAS_A_CHILD))
    await parent.start_all()
    pid = parent.pid("parent")
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children()]

    os.kill(pid, signal.SIGKILL)
    failure = await parent.wait_failed()

    assert len(family) == 2
    assert alive(family) == []
    assert failure.reason == "it was ended by SIGKILL"


async def test_a_failure_is_forgotten_when_the_service_is_started_anew(tmp_path: Path) -> None:
    mended = supervisor(tmp_path, service("it", tmp_path))
    await mended.start_all()
    pid = mended.pid("it")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await mended.wait_failed()

    await mended.start("it")
    failure = asyncio.create_task(mended.wait_failed())
    await asyncio.sleep(0)

    assert mended.pid("it") not in {None, pid}
    assert not failure.done()
    failure.cancel()
    await mended.stop_all()


async def test_a_start_that_is_canceled_leaves_nothing_behind(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def never() -> None:
        begun.set()
        raise NotReadyYet("never")

    canceled = supervisor(tmp_path, service("one", tmp_path), service("two", tmp_path, ready=never))
    starting = asyncio.create_task(canceled.start_all())
    await begun.wait()
    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    await until_gone(tmp_path)  # a process that was just being made dies a moment later


async def test_pausing_what_does_not_run_is_an_error(tmp_path: Path) -> None:
    idle = supervisor(tmp_path, service("idle", tmp_path))

    with pytest.raises(ServiceFailed, match="does not run"):
        idle.pause("idle")
