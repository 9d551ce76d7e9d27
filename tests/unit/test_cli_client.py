"""The CLI's HTTP client against a real server on loopback that answers by a script."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from commands import patience
from commands.connection import Connection, find_connection
from commands.generation_event import GenerationEvent
from commands.http_client import connected
from commands.troubles import RequestRefused, ServerUnreachable
from deploy.stack_ports import find_free_port
from errors import ConfigurationError
from tests.scripted_server import CUT, STREAM, Script, answer, frame, scripted


@pytest.fixture
async def script(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Script]:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(patience, "FOR_A_STRANGER_S", 5.0)
    async with scripted() as script:
        yield script


async def followed(script: Script) -> list[GenerationEvent]:
    async with connected(script.connection) as client, aclosing(client.follow("g")) as events:
        return [event async for event in events]


async def test_a_request_is_sent_again_with_its_key_until_the_server_serves(script: Script) -> None:
    busy = answer(503, {"code": "database_unavailable"}, "Retry-After: 0")
    script.answers = [CUT, busy, busy, answer(202, {"id": "g"})]

    async with connected(script.connection) as client:
        accepted = await client.submit({"kind": "avatar"})

    keys = script.asked_with("idempotency-key")
    assert accepted == {"id": "g"}
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert set(script.asked_with("authorization")) == {"Bearer dio_key"}


async def test_two_requests_have_two_keys_and_a_given_key_is_used(script: Script) -> None:
    script.answers = [answer(202, {})] * 3

    async with connected(script.connection) as client:
        await client.submit({})
        await client.cancel("g")
        await client.submit({}, idempotency_key="mine")

    first, second, third = script.asked_with("idempotency-key")
    assert first
    assert second
    assert first != second
    assert third == "mine"


async def test_a_refusal_is_told_and_not_repeated(script: Script) -> None:
    script.answers = [answer(422, {"detail": "There is no theme 'x'", "suggestion": "Choose another."})]

    async with connected(script.connection) as client:
        with pytest.raises(RequestRefused, match="There is no theme 'x'"):
            await client.submit({})

    assert len(script.asked) == 1


async def test_an_answer_that_is_no_problem_document_is_a_refusal_too(script: Script) -> None:
    script.answers = [b"HTTP/1.1 502 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad"]

    async with connected(script.connection) as client:
        with pytest.raises(RequestRefused, match="The server answered 502"):
            await client.generation("g")


async def test_a_dropped_stream_is_taken_up_where_it_was_lost(script: Script) -> None:
    script.answers = [
        STREAM + frame(2, "snapshot", status="running") + frame(3, "picture.submitted", step="avatar") + b"id: 4\nda",
        CUT,
        answer(503, {}),
        STREAM + frame(4, "picture.stored", step="avatar") + frame(5, "generation.succeeded"),
    ]

    events = await followed(script)

    assert [event.seq for event in events] == [2, 3, 4, 5]
    assert script.asked_with("last-event-id") == [None, "3", "3", "3"]


async def test_following_ends_with_a_snapshot_of_what_has_ended(script: Script) -> None:
    script.answers = [STREAM + frame(9, "snapshot", status="failed")]

    assert [event.is_final for event in await followed(script)] == [True]


async def test_following_what_is_not_there_is_refused(script: Script) -> None:
    script.answers = [answer(404, {"detail": "There is no such generation."})]

    with pytest.raises(RequestRefused, match="no such generation"):
        await followed(script)


async def test_pages_are_read_up_to_the_limit(script: Script) -> None:
    script.answers = [
        answer(200, {"items": [{"id": 1}, {"id": 2}], "next_cursor": "c"}),
        answer(200, {"items": [{"id": 3}], "next_cursor": None}),
    ]

    async with connected(script.connection) as client:
        found = [item["id"] async for item in client.generations({"status": "failed"}, 150)]

    assert found == [1, 2, 3]
    assert "status=failed&limit=100 " in script.asked[0]
    assert "status=failed&limit=100&cursor=c " in script.asked[1]


async def test_a_server_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FOR_A_STRANGER_S", 0.05)
    nobody = Connection(f"http://127.0.0.1:{find_free_port()}", "k")

    async with connected(nobody) as client:
        with pytest.raises(ServerUnreachable, match="no connection"):
            await client.themes()


async def test_without_an_address_and_a_stack_there_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="No stack runs"):
        await find_connection(None, None, tmp_path)


async def test_an_address_needs_a_key_and_a_scheme(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DIORAMA_API_KEY"):
        await find_connection("http://example.com", None, tmp_path)
    with pytest.raises(ConfigurationError, match="http://"):
        await find_connection("example.com", "k", tmp_path)


async def test_what_was_given_is_used_as_it_is(tmp_path: Path) -> None:
    assert await find_connection("https://example.com/", "k", tmp_path) == Connection("https://example.com", "k")
