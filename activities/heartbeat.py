"""Tell Temporal that an activity lives, for as long as it does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

# A third of the timeout: two heartbeats may be lost before the attempt counts as dead.
BEATS_PER_TIMEOUT = 3


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeat in the background until the block ends; the interval comes from the activity's own timeout."""
    timeout = activity.info().heartbeat_timeout
    task = asyncio.create_task(_beat(timeout.total_seconds() / BEATS_PER_TIMEOUT)) if timeout else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _beat(interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)  # first: most pictures of a fast model need no heartbeat at all
        activity.heartbeat()
