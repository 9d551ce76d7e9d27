from collections.abc import AsyncIterator, Iterable

import pytest
import typer
from pydantic import TypeAdapter

from commands import exit_codes
from commands.exit_codes import ExitCode
from commands.generation_event import GenerationEvent
from commands.request_body import request_body
from commands.server_sent_events import ServerSentEvent, parse
from commands.troubles import DatabaseAway, RequestRefused, ServerUnreachable
from contracts.requests import GenerationRequest
from contracts.statuses import Status
from deploy.failures import PortTaken
from errors import ConfigurationError, DatabaseUnavailable, DioramaError

AVATAR = {"description": "a fox", "style": None, "size": None}
SCENE = {"theme": "moon-base", "details": "", "size": "1280x720"}
ASSET = {"avatar_asset_id": "0199c0de-0000-7000-8000-000000000002", "image_url": None}
NONE = dict.fromkeys(AVATAR)
NO_SOURCE = dict.fromkeys(ASSET)


@pytest.mark.parametrize(
    ("what", "avatar", "scene", "source"),
    [
        ("avatar", AVATAR, NONE, NO_SOURCE),
        ("scene", NONE, SCENE, ASSET),
        ("avatar-scene", AVATAR, SCENE, NO_SOURCE),
    ],
)
def test_every_kind_becomes_a_body_that_the_contract_accepts(
    what: str, avatar: dict[str, str], scene: dict[str, str], source: dict[str, str]
) -> None:
    body = request_body(
        what, avatar=avatar, scene=scene, source=source, options={"tags": ["a", "b"], "quality": "high", "model": None}
    )

    accepted = TypeAdapter[GenerationRequest](GenerationRequest).validate_python(body)
    assert accepted.kind == what.replace("-", "_")
    assert accepted.tags == ("a", "b")


def test_what_was_not_typed_is_left_to_the_server() -> None:
    body = request_body("avatar", avatar=AVATAR, scene=NONE, source=NO_SOURCE, options={"tags": [], "quality": None})

    assert body == {"kind": "avatar", "avatar": {"description": "a fox"}}


@pytest.mark.parametrize(
    ("what", "avatar", "scene", "source"),
    [
        ("avatar", NONE, NONE, NO_SOURCE),
        ("avatar", AVATAR, SCENE, NO_SOURCE),
        ("avatar", AVATAR, NONE, ASSET),
        ("scene", NONE, SCENE, NO_SOURCE),
        ("scene", NONE, SCENE, {**ASSET, "image_url": "https://example.com/a.png"}),
        ("scene", AVATAR, SCENE, ASSET),
        ("avatar-scene", AVATAR, NONE, NO_SOURCE),
        ("avatar-scene", AVATAR, SCENE, ASSET),
    ],
)
def test_parts_that_do_not_fit_the_kind_are_a_usage_error(
    what: str, avatar: dict[str, str], scene: dict[str, str], source: dict[str, str]
) -> None:
    with pytest.raises(typer.BadParameter):
        request_body(what, avatar=avatar, scene=scene, source=source, options={})


async def _lines(text: Iterable[str]) -> AsyncIterator[str]:
    for line in text:
        yield line


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (["id: 3", "event: picture.stored", 'data: {"a": 1}', ""], [("picture.stored", '{"a": 1}', "3")]),
        (["data:one", "data: two", ""], [("message", "one\ntwo", "")]),
        ([": keep-alive", "", "event: x", ""], []),
        (["id: 1", "data: a", "", "data: b", "", "data: cut off"], [("message", "a", "1"), ("message", "b", "1")]),
        (["retry: 1000", "nonsense", "data: a: b", ""], [("message", "a: b", "")]),
    ],
)
async def test_a_stream_is_read_by_the_rules_of_server_sent_events(
    stream: list[str], expected: list[tuple[str, str, str]]
) -> None:
    assert [event async for event in parse(_lines(stream))] == [ServerSentEvent(*each) for each in expected]


@pytest.mark.parametrize("status", Status)
def test_an_event_is_final_exactly_when_its_status_is(status: Status) -> None:
    assert GenerationEvent(1, f"generation.{status}", {}).is_final is status.is_final
    assert GenerationEvent(1, "snapshot", {"status": status.value}).is_final is status.is_final


def test_a_wish_to_cancel_is_not_the_end() -> None:
    assert not GenerationEvent(4, "generation.cancel_requested", {}).is_final


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), ExitCode.usage),
        (PortTaken("api", 1), ExitCode.usage),
        (ServerUnreachable(), ExitCode.unreachable),
        (DatabaseAway(), ExitCode.unreachable),
        (DatabaseUnavailable(), ExitCode.unreachable),
        (RequestRefused(422, {"detail": "no"}), ExitCode.usage),
        (RequestRefused(401, {}), ExitCode.usage),
        (RequestRefused(409, {"detail": "it has ended"}), ExitCode.failed),
        (RequestRefused(500, {}), ExitCode.failed),
        (DioramaError(), ExitCode.failed),
    ],
)
def test_errors_mean_exit_codes(error: DioramaError, code: ExitCode) -> None:
    assert exit_codes.of_error(error) is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("succeeded", ExitCode.ok),
        ("failed", ExitCode.failed),
        ("needs_review", ExitCode.failed),
        ("canceled", ExitCode.canceled),
    ],
)
def test_the_end_of_a_generation_means_an_exit_code(status: str, code: ExitCode) -> None:
    assert exit_codes.of_status(status) is code


def test_a_refusal_tells_every_field_and_the_names_there_are() -> None:
    problem = {
        "detail": "Not valid: /x.",
        "errors": [{"pointer": "/x", "detail": "Field required"}],
        "themes": ["a", "b"],
        "suggestion": "Change it.",
    }

    refused = RequestRefused(422, problem)

    assert refused.detail == "Not valid: /x. /x: Field required. There are: a, b."
    assert refused.advice == "Change it."
