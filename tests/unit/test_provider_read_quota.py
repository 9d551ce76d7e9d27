"""The read quota: never more than its rate, in the order of arrival, and nothing lost to callers that leave."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.read_quota import ReadQuota


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def grants(pauses_s: list[float], per_minute: float, burst: int) -> list[float]:
    clock = Clock()
    quota = ReadQuota(per_minute, burst=burst, clock=clock, sleep=clock.sleep)
    times = []
    for pause_s in pauses_s:
        clock.now += pause_s
        await quota.take()
        times.append(clock.now)
    return times


@given(
    pauses_s=st.lists(st.floats(0, 30), min_size=1, max_size=60),
    per_minute=st.floats(1, 6000),
    burst=st.integers(1, 20),
)
def test_no_window_of_time_lets_more_through_than_burst_and_rate_allow(
    pauses_s: list[float], per_minute: float, burst: int
) -> None:
    times = asyncio.run(grants(pauses_s, per_minute, burst))

    for first, start in enumerate(times):
        for last in range(first, len(times)):
            allowed = burst + (times[last] - start) * per_minute / 60
            assert last - first + 1 <= allowed + 0.1


@given(pauses_s=st.lists(st.floats(0, 30), min_size=1, max_size=60), per_minute=st.floats(1, 6000))
def test_nobody_waits_longer_than_one_call_takes_to_be_allowed(pauses_s: list[float], per_minute: float) -> None:
    times = asyncio.run(grants(pauses_s, per_minute, 1))

    previous = 0.0
    for pause_s, granted in zip(pauses_s, times, strict=True):
        assert granted <= previous + pause_s + 60 / per_minute + 0.001
        previous = granted


async def test_callers_are_served_in_the_order_of_their_arrival() -> None:
    clock = Clock()
    quota = ReadQuota(60, burst=1, clock=clock, sleep=clock.sleep)
    served: list[int] = []

    async def call(number: int) -> None:
        await quota.take()
        served.append(number)

    await asyncio.gather(*(call(number) for number in range(50)))

    assert served == list(range(50))
    assert clock.now == pytest.approx(49, abs=0.1)


async def test_a_caller_that_is_canceled_while_it_waits_uses_nothing_up() -> None:
    clock = Clock()
    asleep = asyncio.Event()

    async def endless(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    quota = ReadQuota(60, burst=1, clock=clock, sleep=endless)
    await quota.take()
    waiting = asyncio.create_task(quota.take())
    await asleep.wait()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    clock.now += 1.0

    await asyncio.wait_for(quota.take(), 5)


async def test_after_being_held_back_nobody_gets_through_until_the_time_is_over() -> None:
    clock = Clock()
    quota = ReadQuota(6000, burst=10, clock=clock, sleep=clock.sleep)

    quota.hold_back(7)
    await quota.take()

    assert clock.now == pytest.approx(7)


@pytest.mark.parametrize(("per_minute", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_quota_that_lets_nothing_through_cannot_be_built(per_minute: float, burst: int) -> None:
    with pytest.raises(ValueError, match="read quota"):
        ReadQuota(per_minute, burst=burst)
