"""A worker that starts before its servers do: it waits for them, says for which, and stops when it is told to."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import chain, repeat
from typing import Any, TypeVar

import structlog
from temporalio.service import RPCError

from errors import DioramaError

Result = TypeVar("Result")

DELAYS_S = (0.2, 0.5, 1.0, 2.0)
AND_ON_S = 5.0

log = structlog.get_logger(__name__)


async def when_it_answers(server: str, ask: Callable[[], Awaitable[Result]]) -> Result:
    """What `ask` gives, once `server` is there; asked again after growing pauses, for as long as it takes.

    A supervisor need not restart what waits, and no work is lost meanwhile. A refusal that stays, such as a namespace that
    nobody made, is waited for too: the log says what is missing.
    """
    for delay_s in chain(DELAYS_S, repeat(AND_ON_S)):
        try:
            return await ask()
        except (
            RPCError,
            RuntimeError,
            OSError,
        ) as error:  # the engine's client raises RuntimeError when it cannot connect
            log.warning("worker.waits", server=server, error=str(error)[:200], again_in_s=delay_s)
        except DioramaError as error:
            if not error.retryable:
                raise
            log.warning("worker.waits", server=server, error=error.code, again_in_s=delay_s)
        await asyncio.sleep(delay_s)
    raise AssertionError


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What `work` gives, or None when `stop` is set before: then it is given up."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
