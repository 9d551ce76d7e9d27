"""Waiting for what happens in another process: nobody can tell us, so we look."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(looks_good: Callable[[], Awaitable[bool]], *, every_s: float) -> None:
    """Look again and again until it is so."""
    while not await looks_good():  # noqa: ASYNC110 - no event reaches us from there
        await asyncio.sleep(every_s)
