"""Fault points: an armed one hits once, whoever comes by; the wrappers that carry them change nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import fault_points
from fault_points import FaultPoints, pass_by
from providers.base import FinishedPicture, JobReport, ListedJob, LostJob, Purchase, RemoteFile
from providers.with_fault_points import ProviderWithFaultPoints
from storage.base import NewObject
from storage.memory import MemoryStorage
from storage.with_fault_points import StorageWithFaultPoints

ROOT = Path(__file__).parents[2]
PASSING_BY = """
import sys
from pathlib import Path
from fault_points import fault_points
fault_points(Path(sys.argv[1]), "worker")(sys.argv[2])
print("alive", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("armed", "fired"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def arm(folder: Path, name: str, action: str = "kill") -> None:
    (folder / "armed" / name).write_text(action, "ascii")


def passing_by(folder: Path, point: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PASSING_BY, str(folder), point], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_an_armed_point_ends_the_process_that_reaches_it(folder: Path) -> None:
    arm(folder, "worker,purchase.sent:after")

    with passing_by(folder, "purchase.sent:after") as process:
        said, _ = process.communicate()

    assert (process.returncode, said) == (-signal.SIGKILL, "")
    assert [path.name for path in (folder / "fired").iterdir()] == ["worker,purchase.sent:after"]


def test_a_paused_process_goes_on_where_it_was(folder: Path) -> None:
    arm(folder, "worker,purchase.sent:after", "pause")

    with passing_by(folder, "purchase.sent:after") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate()

    assert os.WIFSTOPPED(status)
    assert said == "alive\n"


def test_an_arming_is_used_once(folder: Path, signals: list[tuple[int, int]]) -> None:
    points = FaultPoints(folder, "worker")
    arm(folder, "worker,picture.stored:before")
    for _ in range(3):
        points.reach("picture.stored:before")

    assert signals == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize(
    "armed", ["api,picture.stored:before", "worker,picture.stored:after", "worker,raw.stored:before"]
)
def test_a_point_that_is_armed_for_another_process_or_place_is_passed(
    folder: Path, signals: list[tuple[int, int]], armed: str
) -> None:
    arm(folder, armed)
    FaultPoints(folder, "worker").reach("picture.stored:before")

    assert signals == []
    assert (folder / "armed" / armed).exists()


def test_outside_the_lab_nothing_is_looked_for() -> None:
    assert fault_points.fault_points(None, "worker") is pass_by


class Recorded:
    """Notes what is reached and called, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def reach(self, point: str) -> None:
        self.steps.append(point)


class RecordingProvider:
    """A provider that notes each call; every answer is its own."""

    name = "vendor"
    synchronous = False
    submit_timeout_s = 7.0

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps
        self.report = JobReport("job", "running")
        self.lost = LostJob(None, conclusive=True)
        self.listed = ListedJob("token", datetime(2026, 1, 1, tzinfo=UTC), self.report)

    async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
        self._steps.append(f"submit {purchase.token}")
        return self.report

    async def poll(self, job_id: str) -> JobReport:
        self._steps.append(f"poll {job_id}")
        return self.report

    async def cancel(self, job_id: str) -> JobReport:
        self._steps.append(f"cancel {job_id}")
        return self.report

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        self._steps.append(f"find_lost {token} {sent_at.year}")
        return self.lost

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        self._steps.append(f"list_jobs {since.year}")
        yield self.listed

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        self._steps.append(f"fetch_output {output.url} {max_bytes}")
        return b"bytes"

    async def probe(self, model: str | None = None) -> None:
        self._steps.append(f"probe {model}")

    async def close(self) -> None:
        self._steps.append("close")


PURCHASE = Purchase("token", "model", "a fox", "low", None, "square", (), 60)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_provider_behind_fault_points_does_and_says_the_same() -> None:
    seen = Recorded()
    inner = RecordingProvider(seen.steps)
    outer = ProviderWithFaultPoints(inner, seen.reach)
    answers = [
        await outer.submit(PURCHASE),
        await outer.poll("job"),
        await outer.cancel("job"),
        await outer.find_lost("token", MOMENT),
        [job async for job in outer.list_jobs(MOMENT)],
        await outer.fetch_output(RemoteFile("https://a/b"), max_bytes=3),
    ]
    await outer.probe("model")
    await outer.close()

    assert (outer.name, outer.synchronous, outer.submit_timeout_s) == ("vendor", False, 7.0)
    assert answers == [inner.report, inner.report, inner.report, inner.lost, [inner.listed], b"bytes"]
    assert seen.steps == [
        "vendor.submit:before",
        "submit token",
        "vendor.submit:after",
        "poll job",
        "vendor.cancel:before",
        "cancel job",
        "vendor.cancel:after",
        "find_lost token 2026",
        "list_jobs 2026",
        "fetch_output https://a/b 3",
        "probe model",
        "close",
    ]


def _public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_wrappers_have_all_that_is_behind_them() -> None:
    seen = Recorded()
    storage = MemoryStorage()

    assert _public(StorageWithFaultPoints(storage, seen.reach)) >= _public(storage)
    assert _public(ProviderWithFaultPoints(RecordingProvider([]), seen.reach)) >= _public(RecordingProvider([])) - {
        "report",
        "lost",
        "listed",
    }


async def _chunks() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


async def test_a_store_behind_fault_points_keeps_and_gives_the_same() -> None:
    seen, inner = Recorded(), MemoryStorage()
    outer = StorageWithFaultPoints(inner, seen.reach)
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    await outer.prepare()
    put = await outer.put(NewObject("a/b.png", "image/png", sha256), _chunks(), 3)
    body = b"".join([chunk async for chunk in await outer.get("a/b.png", start=1, length=1)])
    found = [item.key async for item in outer.list_prefix("a/", after="a/a")]
    beyond = [item.key async for item in outer.list_prefix("a/", after="a/b.png")]
    assert await outer.stat("a/b.png") == await inner.stat("a/b.png")
    assert await outer.presigned_get("a/b.png", expires=timedelta(minutes=1))
    await outer.delete("a/b.png")
    await outer.close()

    assert (put.key, body, found, beyond) == ("a/b.png", b"b", ["a/b.png"], [])
    assert [item.key async for item in inner.list_prefix("")] == []
    assert seen.steps == ["object.put:before", "object.put:after", "object.delete:before", "object.delete:after"]
