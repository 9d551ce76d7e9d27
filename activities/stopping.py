"""A worker that stops hands over at once what it waits for, so that another goes on without waiting for a missed heartbeat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

from background import in_background
from errors import WorkerStopping


@asynccontextmanager
async def handed_over_when_stopping() -> AsyncIterator[None]:
    """Interrupt the block when this worker is told to stop. Raises WorkerStopping, with which another worker goes on.

    What must not be cut in two still runs to its end (see `activities.cancellation.to_its_end`).
    """
    work = asyncio.current_task()
    is_stopping = False

    async def watch() -> None:
        nonlocal is_stopping
        await activity.wait_for_worker_shutdown()
        is_stopping = True
        if work is not None:
            work.cancel()

    async with in_background(watch(), name="worker-stopping"):
        try:
            yield
        except asyncio.CancelledError:
            if is_stopping:
                raise WorkerStopping from None
            raise  # Temporal canceled the activity: not ours to rename
