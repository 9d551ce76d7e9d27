"""Tell Temporal that an activity lives, for as long as it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

from background import in_background

# A third of the timeout: two heartbeats may be lost before the attempt counts as dead.
BEATS_PER_TIMEOUT = 3


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeat in the background until the block ends; the interval comes from the activity's own timeout."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    async with in_background(_beat(timeout.total_seconds() / BEATS_PER_TIMEOUT), name="heartbeat"):
        yield


async def _beat(interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)  # first: most pictures of a fast model need no heartbeat at all
        activity.heartbeat()
