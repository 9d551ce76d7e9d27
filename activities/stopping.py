"""A worker that stops hands over at once what it waits for, so that another goes on without waiting for a missed heartbeat."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

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

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if is_stopping:
            raise WorkerStopping from None
        raise  # Temporal canceled the activity: not ours to rename
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
