"""Stop within moments of a client's wish, long before Temporal's next heartbeat answer could tell us."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from contracts.names import CHANNEL_CANCEL
from db import lives
from db.engine import Database
from db.listener import Listener
from errors import DatabaseUnavailable, GenerationCanceled

Result = TypeVar("Result")


@asynccontextmanager
async def stopping_when_canceled(database: Database, listener: Listener, generation_id: UUID) -> AsyncIterator[None]:
    """Interrupt the block when the client asks to stop this generation. Raises GenerationCanceled.

    The wish is read from the row; the notification only says when to look. A wish that was there before is found by the
    claim, which reads the row after this block has begun to listen.
    """
    work = asyncio.current_task()
    wanted = asyncio.Event()

    async def watch(woken: asyncio.Event) -> None:
        while not wanted.is_set():
            await woken.wait()
            woken.clear()
            with contextlib.suppress(DatabaseUnavailable):
                async with database.transaction() as session:
                    if await lives.cancel_requested(session, generation_id):
                        wanted.set()
        if work is not None:
            work.cancel()

    with listener.subscribe(CHANNEL_CANCEL, str(generation_id)) as woken:
        watcher = asyncio.create_task(watch(woken))
        try:
            yield
        except asyncio.CancelledError:
            if wanted.is_set():
                raise GenerationCanceled from None
            raise  # the worker stops, or Temporal canceled the activity: not ours to rename
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher


async def to_its_end(step: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a short step that must not be cut in two (a purchase and the writing down of its id); cancel afterwards."""
    task = asyncio.ensure_future(step())
    canceled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            canceled = error
    if canceled is not None:
        with contextlib.suppress(Exception, asyncio.CancelledError):
            task.result()  # looked at, so that asyncio does not complain; the ledger has what matters
        raise canceled
    return task.result()
