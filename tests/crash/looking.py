"""Waiting for what happens in another process: nobody can tell us, so we look."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(looks_good: Callable[[], Awaitable[bool]], *, every_s: float, within_s: float | None = 120.0) -> None:
    """Look again and again until it is so. Raises TimeoutError; with None, it is for the caller to give up."""
    limit = asyncio.timeout(within_s)
    try:
        async with limit:
            while not await looks_good():  # noqa: ASYNC110 - no event reaches us from there
                await asyncio.sleep(every_s)
    except TimeoutError as error:
        if not limit.expired():
            raise
        awaited = getattr(looks_good, "__qualname__", repr(looks_good))
        raise TimeoutError(f"{awaited} was not so within {within_s} s") from error
