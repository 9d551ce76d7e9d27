"""`diorama providers`, `models` and `lanes`: what they ask, and what people and machines see."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commands import standing_words
from tests.scripted_server import answer, scripted

TRAFFIC: dict[str, Any] = {"successes": 49, "failures": 1, "success_rate": 0.98, "p50_s": 12.34, "p90_s": 20.0}
HEALTH: dict[str, Any] = {"mode": "active", "breaker": "closed", "busy_until": None, "traffic": TRAFFIC}
PROVIDER: dict[str, Any] = {
    "name": "replicate",
    "configured": True,
    "health": HEALTH,
    "queue": {"held": 3, "at_provider": 12},
    "limit": {"creates_per_minute": 600, "set_by_operator": False},
}
MODEL: dict[str, Any] = PROVIDER | {
    "provider": "replicate",
    "model": "openai/gpt",
    "capabilities": ["text_to_image"],
    "prices": [{"usd": "0.0060"}, {"usd": "0.25"}],
    "per_megapixel_usd": None,
    "available": True,
    "unavailable_because": None,
    "retired": False,
    "shutdown": None,
    "typical_s": 20,
    "estimate": {"median_s": 15.0, "p90_s": 30.5},
}
LANE: dict[str, Any] = {
    "provider": "replicate",
    "model": "openai/gpt",
    "mode": "paused",
    "creates_per_minute": None,
    "note": "their [status] page",
    "changed_by": "abc",
    "changed_at": "2026-11-21T12:00:00Z",
}
UNKNOWN: dict[str, Any] = {"median_s": None, "p90_s": None}
UNMEASURED: dict[str, Any] = {"successes": 0, "failures": 0, "success_rate": None, "p50_s": None, "p90_s": None}


PROGRAM = "from cli import main; main()"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Called:
    """What a command did: its exit code, its words, what it asked (`GET /path`), and the body of its first question."""

    code: int
    out: str
    asked: list[str]
    body: Any

    @property
    def records(self) -> list[dict[str, Any]]:
        """What machines read."""
        return [json.loads(line) for line in self.out.splitlines()]


async def call(answered: object, *arguments: str) -> Called:
    """Run a command against a server that gives this answer."""
    async with scripted(answer(200, answered)) as script:
        where = ("--api-url", script.connection.api_url, "--api-key", "dio_key")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *arguments, *where), cwd=ROOT, stdout=PIPE, stderr=PIPE
        )
        out, _ = await process.communicate()
    asked = [" ".join(head.split("\r\n")[0].split(" ")[:2]) for head in script.asked]
    body = json.loads(script.bodies[0]) if script.bodies and script.bodies[0] else None
    return Called(process.returncode or 0, out.decode(), asked, body)


def words_missing(text: str, *words: str) -> list[str]:
    return [word for word in words if word not in text]


async def test_people_see_how_each_provider_stands() -> None:
    other = PROVIDER | {"name": "elsewhere", "configured": False}
    done = await call({"items": [PROVIDER, other]}, "providers")

    wanted = ("replicate", "active", "98 % of 50", "12.3 s / 20.0 s", "3 wait, 12 there", "600/min")
    assert (done.code, done.asked) == (0, ["GET /v1/providers"])
    assert words_missing(done.out, *wanted) == []
    assert "elsewhere" not in done.out


async def test_providers_without_a_key_are_shown_when_asked_for() -> None:
    done = await call({"items": [PROVIDER | {"name": "elsewhere", "configured": False}]}, "providers", "--all")

    assert words_missing(done.out, "elsewhere", "no key") == []


async def test_machines_see_one_object_a_provider() -> None:
    done = await call({"items": [PROVIDER]}, "providers", "--json")

    assert done.records == [{"type": "provider", "provider": PROVIDER}]


async def test_people_see_what_each_model_costs_and_how_long_it_takes() -> None:
    paused = MODEL | {"model": "paused", "available": False, "unavailable_because": "The model is drained: it ends."}
    retired = MODEL | {"model": "retired", "retired": True}
    done = await call({"items": [MODEL, paused, retired]}, "models")

    assert (done.code, done.asked) == (0, ["GET /v1/models"])
    assert words_missing(done.out, "openai/gpt", "0.0060 - 0.25", "15.0 s / 30.5 s", "model is drained") == []
    assert "it ends" not in done.out
    assert "retired" not in done.out


async def test_models_are_chosen_by_what_they_can_do_and_whose_they_are() -> None:
    upscaler = MODEL | {"model": "upscaler", "capabilities": ["upscale"], "estimate": UNKNOWN}
    done = await call({"items": [MODEL, upscaler]}, "models", "--can", "upscale", "--provider", "replicate", "--json")

    assert [record["model"]["model"] for record in done.records] == ["upscaler"]


@pytest.mark.parametrize(
    ("arguments", "asked", "body"),
    [
        (("pause", "replicate"), "POST /v1/operations/lanes/replicate/pause", {"note": "why"}),
        (("drain", "replicate", "a/b c"), "POST /v1/operations/lanes/replicate/a/b%20c/drain", {"note": "why"}),
        (("resume", "replicate", "a/b"), "POST /v1/operations/lanes/replicate/a/b/resume", {"note": "why"}),
        (
            ("limit", "replicate", "--per-minute", "30"),
            "PUT /v1/operations/lanes/replicate/limit",
            {"creates_per_minute": 30, "note": "why"},
        ),
        (
            ("limit", "replicate", "a/b", "--as-configured"),
            "PUT /v1/operations/lanes/replicate/a/b/limit",
            {"creates_per_minute": None, "note": "why"},
        ),
    ],
)
async def test_a_decision_is_sent_with_its_note(arguments: tuple[str, ...], asked: str, body: dict[str, Any]) -> None:
    done = await call(LANE, "lanes", *arguments, "--note", "why")

    assert (done.code, done.asked, done.body) == (0, [asked], body)
    assert done.out.startswith("replicate openai/gpt ")


@pytest.mark.parametrize("arguments", [(), ("--per-minute", "30", "--as-configured"), ("--per-minute", "0")])
async def test_a_limit_is_either_a_number_or_the_configured_one(arguments: tuple[str, ...]) -> None:
    done = await call(LANE, "lanes", "limit", "replicate", "--note", "why", *arguments)

    assert (done.code, done.asked) == (2, [])


async def test_what_was_decided_is_listed_as_it_was_written() -> None:
    done = await call({"items": [LANE]}, "lanes", "list")

    assert words_missing(done.out, "replicate openai/gpt", "paused", "their [status] page", "abc") == []


async def test_what_happened_is_listed_newest_first() -> None:
    event = {
        "created_at": "2026-11-21T12:00:00Z",
        "provider": "replicate",
        "model": "",
        "type": "breaker.opened",
        "data": {"from": "closed", "cause": None},
    }
    done = await call({"items": [event]}, "lanes", "events", "--provider", "replicate")

    assert done.asked == ["GET /v1/operations/provider-events?limit=20&provider=replicate"]
    assert words_missing(done.out, "breaker.opened", "from closed") == []
    assert "cause" not in done.out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "active"),
        ({"mode": "paused"}, "[bold yellow]paused[/bold yellow]"),
        ({"breaker": "open"}, "[bold red]breaker open[/bold red]"),
        ({"mode": "draining", "breaker": "half_open"}, "[yellow]draining, breaker half open[/yellow]"),
        ({"busy_until": "2026-11-21T12:00:05Z"}, "busy until 12:00:05"),
    ],
)
def test_a_state_is_put_into_few_words(changes: dict[str, Any], words: str) -> None:
    assert standing_words.state({"health": HEALTH | changes}) == words


def test_what_is_not_known_is_left_empty() -> None:
    item = {
        "health": HEALTH | {"traffic": UNMEASURED},
        "queue": {"held": 0, "at_provider": 0},
        "limit": {"creates_per_minute": None, "set_by_operator": False},
    }

    said = [show(item) for show in (standing_words.success, standing_words.took, standing_words.queue)]
    assert [*said, standing_words.limit(item)] == ["", "", "", ""]
