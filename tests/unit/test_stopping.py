"""What an activity does when its worker is told to stop."""

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from activities.cancellation import to_its_end
from activities.failures import AT_ONCE, as_application_error
from activities.stopping import handed_over_when_stopping
from errors import WorkerStopping


@pytest.fixture
def environment() -> ActivityEnvironment:
    return ActivityEnvironment()


async def test_waiting_ends_at_once_and_says_that_the_worker_stops(environment: ActivityEnvironment) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        async with handed_over_when_stopping():
            begun.set()
            await asyncio.Event().wait()

    attempt = asyncio.create_task(environment.run(wait))
    await begun.wait()
    environment.worker_shutdown()

    with pytest.raises(WorkerStopping):
        await attempt


async def test_what_must_not_be_cut_in_two_is_finished_first(environment: ActivityEnvironment) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    written: list[str] = []

    async def purchase() -> None:
        begun.set()
        await may_end.wait()
        written.append("the provider's id")

    async def buy() -> None:
        async with handed_over_when_stopping():
            await to_its_end(purchase)

    attempt = asyncio.create_task(environment.run(buy))
    await begun.wait()
    environment.worker_shutdown()
    may_end.set()

    with pytest.raises(WorkerStopping):
        await attempt
    assert written == ["the provider's id"]


async def test_a_cancellation_by_the_engine_keeps_its_name(environment: ActivityEnvironment) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        async with handed_over_when_stopping():
            begun.set()
            await asyncio.Event().wait()

    attempt = asyncio.create_task(environment.run(wait))
    await begun.wait()
    environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_work_that_ends_by_itself_keeps_its_result(environment: ActivityEnvironment) -> None:
    async def work() -> str:
        async with handed_over_when_stopping():
            return "a picture"

    assert await environment.run(work) == "a picture"


def test_the_next_attempt_does_not_wait() -> None:
    told = as_application_error(WorkerStopping())

    assert (told.non_retryable, told.next_retry_delay) == (False, AT_ONCE)
    assert AT_ONCE  # a delay of zero is none: the engine would take that of the retry policy
