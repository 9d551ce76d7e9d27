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

# After the database was away when the wish was to be read.
LOOK_AGAIN_S = 1.0


class Wish:
    """Whether the client wants this generation to stop."""

    def __init__(self) -> None:
        self.is_there = False


@asynccontextmanager
async def stopping_when_canceled(database: Database, listener: Listener, generation_id: UUID) -> AsyncIterator[Wish]:
    """Interrupt the block when the client asks to stop this generation. Raises GenerationCanceled.

    The wish is read from the row; the notification only says when to look. A wish that was there before is found by the
    claim, which reads the row after this block has begun to listen.
    """
    work = asyncio.current_task()
    wish = Wish()

    async def watch(woken: asyncio.Event) -> None:
        while not wish.is_there:
            await woken.wait()
            woken.clear()
            try:
                async with database.transaction() as session:
                    wish.is_there = await lives.cancel_requested(session, generation_id)
            except DatabaseUnavailable:  # the wish must not be forgotten: look again
                await asyncio.sleep(LOOK_AGAIN_S)
                woken.set()
        if work is not None:
            work.cancel()

    with listener.subscribe(CHANNEL_CANCEL, str(generation_id)) as woken:
        watcher = asyncio.create_task(watch(woken))
        try:
            yield wish
        except asyncio.CancelledError:
            if wish.is_there:
                raise GenerationCanceled from None
            raise  # the worker stops, or Temporal canceled the activity: not ours to rename
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await watcher
    if wish.is_there:  # the wish came in the moment in which the block ended
        raise GenerationCanceled


async def to_its_end(step: Callable[[], Coroutine[Any, Any, Result]], *, cut_by: Wish | None = None) -> Result:
    """Run a step that must not be cut in two (a purchase and the writing down of its id); cancel afterwards.

    The client's own wish, `cut_by`, may cut it: then it is known who gave the picture up.
    """
    task = asyncio.ensure_future(step())
    canceled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            canceled = error
            if cut_by is not None and cut_by.is_there:
                task.cancel()
    if canceled is not None:
        with contextlib.suppress(Exception, asyncio.CancelledError):
            task.result()  # looked at, so that asyncio does not complain; the ledger has what matters
        raise canceled
    return task.result()
