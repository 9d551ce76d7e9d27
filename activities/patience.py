"""Write down what is known now and could not be found out again, although the database or the store may be away for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import TypeVar

import structlog

from db.columns import now
from errors import DatabaseUnavailable, StorageError

Result = TypeVar("Result")

# About three minutes: longer than a restart of PostgreSQL or of the store takes. Seconds between tries.
DELAYS_S = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 30, 30, 30)
AND_ON_S = 10

log = structlog.get_logger(__name__)


async def until_written(write: Callable[[], Awaitable[Result]], *, until: datetime | None = None) -> Result:
    """Repeat `write`, which must be harmless when repeated, while the database or the store is away.

    For about three minutes, or up to `until`, and then once more: what `write` raises then comes out.
    """
    for delay_s in DELAYS_S if until is None else _delays_up_to(until):
        try:
            return await write()
        except (DatabaseUnavailable, StorageError) as error:
            if not error.retryable:
                raise
            log.warning("not_written_yet", error=error.code, delay_s=round(delay_s, 1))
            await asyncio.sleep(delay_s)
    return await write()


def _delays_up_to(until: datetime) -> Iterator[float]:
    growing = (delay_s for delay_s in DELAYS_S if delay_s < AND_ON_S)
    for delay_s in chain(growing, repeat(AND_ON_S)):
        left_s = (until - now()) / timedelta(seconds=1)
        if left_s <= 0:
            return
        yield min(delay_s, left_s)
