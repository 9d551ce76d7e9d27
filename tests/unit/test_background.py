"""Work beside a block: it begins with the block, ends with it, and its failure is not lost."""

import asyncio

import pytest

from background import in_background


async def test_the_work_goes_on_beside_the_block_and_is_canceled_at_its_end() -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            seen.append("canceled")

    async with in_background(work(), name="work"):
        await begun.wait()
        seen.append("block")

    assert seen == ["block", "canceled"]


async def test_work_that_is_done_before_the_block_disturbs_nobody() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    async with in_background(work(), name="work"):
        await done.wait()


async def test_the_work_ends_with_a_block_that_fails_whose_error_goes_on() -> None:
    canceled = asyncio.Event()
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            canceled.set()

    async def block() -> None:
        async with in_background(work(), name="work"):
            await begun.wait()
            raise ValueError("the block")

    with pytest.raises(ValueError, match="the block"):
        await block()
    assert canceled.is_set()


async def test_work_that_fails_lets_the_block_end_first_and_is_told_then() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append("failed")
        raise ValueError("the work")

    async def block() -> None:
        async with in_background(work(), name="work"):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("block")

    with pytest.raises(ValueError, match="the work"):
        await block()
    assert seen == ["failed", "block"]
