import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from commands.exit_codes import ExitCode
from commands.generation_event import GenerationEvent
from commands.generation_view import GenerationView
from commands.http_client import DioramaClient, connected
from commands.saving import save
from commands.screen import Screen
from commands.stack_view import StackView
from commands.troubles import PictureDamaged, RequestRefused, ServerUnreachable
from commands.watching import conclude
from errors import ConfigurationError
from tests.scripted_server import content, scripted

BODY = b"not really a picture"
PICTURE = {
    "step": "avatar",
    "content_type": "image/png",
    "links": {"content": "/v1/assets/a/content"},
    "sha256": hashlib.sha256(BODY).hexdigest(),
    "width": 4,
    "height": 3,
}
ENDED = {
    "id": "g",
    "status": "succeeded",
    "pictures": [PICTURE],
    "error": None,
    "rollback": [],
    "cost_usd": "0.04",
    "created_at": "2026-11-21T05:00:00Z",
    "finished_at": "2026-11-21T05:00:07.5Z",
}


@asynccontextmanager
async def serving(body: bytes = BODY) -> AsyncIterator[DioramaClient]:
    async with scripted(content(body), content(body)) as script, connected(script.connection) as client:
        yield client


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_pictures_and_the_generation_are_saved_in_place_of_older_ones(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    async with serving() as client:
        await save(Screen(as_json=True), client, ENDED, folder)
        await save(Screen(as_json=True), client, ENDED, folder)

    assert files(folder) == ["avatar.png", "generation.json"]
    assert (folder / "avatar.png").read_bytes() == BODY
    assert json.loads((folder / "generation.json").read_text()) == ENDED


async def test_a_picture_that_did_not_arrive_whole_is_not_saved(tmp_path: Path) -> None:
    async with serving(BODY[:-1]) as client:
        with pytest.raises(PictureDamaged, match="avatar"):
            await save(Screen(as_json=True), client, ENDED, tmp_path)

    assert files(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async with serving() as client:
        with pytest.raises(ConfigurationError, match=r"avatar\.png cannot be written"):
            await save(Screen(as_json=True), client, ENDED, tmp_path / "file")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("succeeded", ExitCode.ok, "succeeded: cost 0.04 USD, took 7.5 s"),
        ("canceled", ExitCode.canceled, "canceled: cost 0.04 USD"),
        ("failed", ExitCode.failed, "failed: Refused. It shows a thing. Use other words."),
        ("needs_review", ExitCode.failed, "needs_review: Refused."),
    ],
)
async def test_the_end_is_told_in_words_and_as_an_exit_code(
    capsys: pytest.CaptureFixture[str], status: str, code: ExitCode, words: str
) -> None:
    error = {"title": "Refused", "detail": "It shows a thing.", "suggestion": "Use other words."}
    ended = {**ENDED, "status": status, "error": error}

    async with serving() as client:
        assert await conclude(Screen(as_json=False), client, ended, None) is code

    assert words in capsys.readouterr().out


async def test_what_was_taken_back_and_what_remains_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rollback = [{"deleted_assets": ["a", "b"], "remaining": ["purchase p"]}]
    canceled = {**ENDED, "status": "canceled", "rollback": rollback}
    async with serving() as client:
        await conclude(Screen(as_json=False), client, canceled, None)

    assert "taken back: 2 pictures; could not be taken back: purchase p" in capsys.readouterr().out


def test_machines_get_json_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=True)
    screen.say("for people")
    screen.record("thing", number=1)
    screen.trouble(ServerUnreachable("Nobody is there"), ExitCode.unreachable)

    captured = capsys.readouterr()
    told = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["type"] for line in told] == ["thing", "error"]
    assert told[1]["exit_code"] == 3
    assert "for people" in captured.err
    assert "Nobody is there. Start one" in captured.err


def test_people_get_words_alone(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=False)
    screen.record("thing", number=1)
    screen.trouble(RequestRefused(422, {"detail": "No [such] theme.", "suggestion": "Ask for another."}), 2)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "No [such] theme. Ask for another.\n"


def test_without_a_terminal_every_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        GenerationEvent(1, "snapshot", {"status": "queued", "stage": "", "pictures": []}),
        GenerationEvent(2, "generation.running", {}),
        GenerationEvent(3, "picture.submitted", {"step": "avatar", "provider": "replicate", "model": "m"}),
        GenerationEvent(4, "picture.progress", {"step": "avatar", "progress": 0.5}),
        GenerationEvent(5, "picture.stored", {"step": "avatar", "cost_usd": "0.01"}),
        GenerationEvent(6, "generation.cancel_requested", {}),
        GenerationEvent(7, "picture.deleted", {"step": "avatar", "asset_id": "a"}),
        GenerationEvent(8, "picture.unheard_of", {"step": "elsewhere"}),
        GenerationEvent(9, "generation.canceled", {}),
    ]
    with GenerationView(Screen(as_json=False), "avatar_scene") as view:
        for event in events:
            view.show(event)

    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "queued",
        "running",
        "avatar: 5% at replicate, m",
        "avatar: 50% at replicate, m",
        "avatar: 100% stored, 0.01 USD",
        "cancel requested",
        "avatar: 0% taken back",
    ]


def test_machines_are_told_every_event_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with GenerationView(Screen(as_json=True), "avatar") as view:
        view.show(GenerationEvent(2, "picture.unheard_of", {"step": "avatar"}))

    assert lines(capsys) == [{"type": "event", "event": "picture.unheard_of", "seq": 2, "data": {"step": "avatar"}}]


def test_services_are_told_as_they_become_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with StackView(Screen(as_json=False)) as view:
        view.on_progress("postgres", "starting")
        view.on_progress("postgres", "ready")
        view.on_progress("worker", "failed")

    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [words[:2] for words in said] == [["postgres", "ready"], ["worker", "failed"]]
