"""The command line as people use it, against real servers in a folder of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
# Only ends a broken test, with the words that were said: each command ends by itself long before.
ENDS_WITHIN_S = 200


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIORAMA_")}
    with (folder / "people.txt").open("ab") as people:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli", *arguments, "--json"),
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=people,
            limit=2**20,
        )


async def started_up(folder: Path) -> tuple[asyncio.subprocess.Process, Json]:
    """`diorama up`, and what it said when everything was ready."""
    process = await start(folder, "up")
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ENDS_WITHIN_S):
            while line := await process.stdout.readline():
                told: Json = json.loads(line)
                if told["type"] == "ready":
                    return process, told
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    raise AssertionError((folder / "people.txt").read_text())


async def said(process: asyncio.subprocess.Process, folder: Path) -> bytes:
    """What it says to its end."""
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        words = (folder / "people.txt").read_text()
        raise AssertionError(f"it did not end within {ENDS_WITHIN_S} s: {words}") from None
    return output


async def diorama(folder: Path, *arguments: str) -> tuple[int, list[Json]]:
    """Run a command to its end: its exit code and its JSON lines."""
    process = await start(folder, *arguments)
    output = await said(process, folder)
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def the(lines: list[Json], kind: str) -> Json:
    return next(line for line in lines if line["type"] == kind)


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def left_running(folder: Path) -> list[str]:
    return [
        f"{process.pid} {' '.join(process.info['cmdline'] or ())}"
        for process in psutil.process_iter(["cmdline", "cwd"])
        if str(folder) in f"{process.info['cmdline']} {process.info['cwd']}"
    ]


async def nothing_runs(folder: Path) -> bool:
    """Whether all processes of this folder end; the reaper takes a moment after kill -9."""
    for _ in range(300):
        if not left_running(folder):
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a user's folder")


@pytest.fixture(scope="module")
async def up(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Json]]:
    process, ready = await started_up(folder)
    yield process, ready
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        await said(process, folder)


async def test_the_demo_makes_both_pictures_and_leaves_nothing_running(tmp_path: Path) -> None:
    code, lines = await diorama(tmp_path, "demo")

    assert code == 0, (tmp_path / "people.txt").read_text()
    assert size_of(tmp_path / "out/avatar.png") == (1024, 1024)
    assert size_of(tmp_path / "out/scene.png") == (1920, 1080)
    record = json.loads((tmp_path / "out/generation.json").read_text())
    assert record["status"] == "succeeded"
    assert record == the(lines, "result")["generation"]
    assert [line["state"] for line in lines if line.get("service") == "worker"] == [
        "starting",
        "ready",
        "stopping",
        "stopped",
    ]
    assert await nothing_runs(tmp_path)


async def test_a_second_up_says_what_runs_and_leaves_it_running(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    process, ready = up

    assert await diorama(folder, "up") == (0, [ready])
    assert process.returncode is None


async def test_the_demo_uses_the_stack_that_runs_and_leaves_it_running(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    process, _ = up
    code, lines = await diorama(folder, "demo", "--theme", "coral-reef", "--out", "elsewhere")

    assert code == 0
    assert [line for line in lines if line["type"] == "service"] == []
    assert size_of(folder / "elsewhere/scene.png") == (1920, 1080)
    assert process.returncode is None


async def test_a_scene_is_made_from_an_avatar_that_was_made_before(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    _, lines = await diorama(folder, "generate", "avatar", "--description", "a tall wizard", "--tag", "wizard")
    first = the(lines, "result")["generation"]
    code, lines = await diorama(
        *(folder, "generate", "scene", "--theme", "moon-base", "--out", "out"),
        *("--avatar-asset", first["pictures"][0]["asset_id"]),
    )
    _, listed = await diorama(folder, "list", "--tag", "wizard")

    assert code == 0
    assert size_of(folder / "out/scene.png") == (1920, 1080)
    assert (folder / f"out/{first['id']}/avatar.png").is_file()
    assert [line["generation"]["id"] for line in listed] == [first["id"]]


async def test_a_canceled_generation_ends_the_watching_with_its_own_exit_code(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    wanted = ("generate", "avatar-scene", "--description", "a fox [[sandbox fault=stuck]]", "--theme", "neon-city")
    _, lines = await diorama(folder, *wanted, "--no-wait")
    generation = the(lines, "accepted")["generation"]["id"]
    canceled, _ = await diorama(folder, "cancel", generation)
    watched, lines = await diorama(folder, "watch", generation)

    assert (canceled, watched) == (0, 4)
    assert the(lines, "result")["generation"]["status"] == "canceled"


async def test_a_wrong_request_is_refused_with_the_servers_words(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    code, lines = await diorama(folder, "generate", "avatar-scene", "--description", "a fox", "--theme", "nowhere")
    _, themes = await diorama(folder, "themes")

    assert code == 2
    assert the(lines, "error")["problem"]["code"] == "unknown_theme"
    assert the(lines, "error")["problem"]["themes"] == [theme["name"] for theme in themes]


async def test_a_key_opens_the_api_for_its_own_tenant_until_it_is_revoked(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    _, lines = await diorama(folder, "keys", "create", "a bot", "--tenant", "acme")
    key = the(lines, "key")
    before = await diorama(folder, "list", "--api-key", key["api_key"])
    revoked, _ = await diorama(folder, "keys", "revoke", key["id"])
    again, _ = await diorama(folder, "keys", "revoke", "0" * 12)

    assert before == (0, [])
    assert (revoked, again) == (0, 2)


async def test_a_healthy_stack_has_no_findings_and_nothing_to_migrate(
    folder: Path, up: tuple[asyncio.subprocess.Process, Json]
) -> None:
    code, findings = await diorama(folder, "doctor")
    migrated, lines = await diorama(folder, "migrate")

    assert code == 0, findings
    assert {finding["level"] for finding in findings} <= {"ok", "warning"}
    assert migrated == 0
    assert the(lines, "migrated")["before"] == the(lines, "migrated")["after"]


async def test_ctrl_c_ends_the_stack_in_good_order(folder: Path, up: tuple[asyncio.subprocess.Process, Json]) -> None:
    process, _ = up
    process.send_signal(signal.SIGINT)
    output = await said(process, folder)

    assert process.returncode == 0
    assert b'"postgres", "state": "stopped"' in output
    assert await nothing_runs(folder)


async def test_kill_9_leaves_nothing_running_and_the_next_up_finishes_what_was_accepted(tmp_path: Path) -> None:
    first, _ = await started_up(tmp_path)
    _, lines = await diorama(tmp_path, "generate", "avatar", "--description", "a fox", "--no-wait")
    first.kill()
    await said(first, tmp_path)
    gone = await nothing_runs(tmp_path)
    second, _ = await started_up(tmp_path)
    watched, _ = await diorama(tmp_path, "watch", the(lines, "accepted")["generation"]["id"])
    second.send_signal(signal.SIGTERM)
    await said(second, tmp_path)

    assert gone
    assert watched == 0
    assert second.returncode == 0
    assert await nothing_runs(tmp_path)
