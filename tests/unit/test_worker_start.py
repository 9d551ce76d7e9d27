"""A worker waits for its servers, for as long as it takes or until it is told to stop."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from errors import ConfigurationError, DatabaseUnavailable, StorageUnavailable
from worker_parts import start as worker_start
from worker_parts.start import unless_stopped, when_it_answers

NO_NAMESPACE = RPCError("Namespace default is not found.", RPCStatusCode.NOT_FOUND, b"")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_start, "DELAYS_S", ())
    monkeypatch.setattr(worker_start, "AND_ON_S", 0)


def answering(*answers: Any) -> Any:
    script = iter(answers)

    async def ask() -> str:
        answer = next(script)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    return ask


async def test_a_server_is_asked_until_it_answers_and_the_log_says_which_is_missing() -> None:
    troubles = [RuntimeError("Failed client connect"), NO_NAMESPACE, ConnectionRefusedError(), StorageUnavailable()]
    with capture_logs() as logged:
        answer = await when_it_answers("engine", answering(*troubles, "here"))

    assert answer == "here"
    waits = [line["server"] for line in logged if line["event"] == "worker.waits"]  # whatever else runs here logs, too
    assert waits == ["engine"] * len(troubles)


async def test_what_waiting_cannot_mend_ends_the_worker() -> None:
    with pytest.raises(ConfigurationError):
        await when_it_answers("store", answering(ConfigurationError("a wrong address")))


async def test_a_worker_that_still_waits_stops_when_it_is_told_to() -> None:
    stop, waiting = asyncio.Event(), asyncio.Event()
    given_up = False

    async def wait() -> str:
        nonlocal given_up
        waiting.set()
        try:
            return await when_it_answers("database", answering(*[DatabaseUnavailable()] * 1_000_000))
        except asyncio.CancelledError:
            given_up = True
            raise

    starting = asyncio.create_task(unless_stopped(stop, wait()))
    await waiting.wait()
    stop.set()

    assert await starting is None
    assert given_up


async def test_a_start_that_fails_says_why() -> None:
    async def fail() -> str:
        raise ConfigurationError("a wrong address")

    with pytest.raises(ConfigurationError, match="a wrong address"):
        await unless_stopped(asyncio.Event(), fail())
