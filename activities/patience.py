"""Write down what is known now and could not be found out again, although the database may be away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from errors import DatabaseUnavailable, StorageError

Result = TypeVar("Result")

# About three minutes: longer than a restart of PostgreSQL or of the store takes. Seconds between tries.
DELAYS_S = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 30, 30, 30)

log = structlog.get_logger(__name__)


async def until_written(write: Callable[[], Awaitable[Result]]) -> Result:
    """Repeat `write`, which must be harmless when repeated, while the database or the store is away."""
    for delay_s in DELAYS_S:
        try:
            return await write()
        except (DatabaseUnavailable, StorageError) as error:
            if not error.retryable:
                raise
            log.warning("not_written_yet", error=error.code, delay_s=delay_s)
            await asyncio.sleep(delay_s)
    return await write()
