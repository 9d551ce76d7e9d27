"""Waits for what a table or the sandbox says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")


async def until(look: Callable[[], Awaitable[Seen]], good: Callable[[Seen], bool], *, within_s: float = 120) -> None:
    """Look again and again until it is good; the limit only ends a broken test."""
    async with asyncio.timeout(within_s):
        while not good(await look()):  # noqa: ASYNC110 they are looked at, they tell nobody
            await asyncio.sleep(0.05)
