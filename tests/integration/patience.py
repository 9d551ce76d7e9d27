"""How long a test waits for servers that are there: longer than a busy machine needs, and only broken tests wait so long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from db.engine import DatabasePatience

HTTP_S: Final = 60.0
PATIENT: Final = DatabasePatience(connect_s=60, pool_s=60, command_s=60)


@asynccontextmanager
async def waiting_for(what: str, at_most_s: float = 120) -> AsyncIterator[None]:
    """Fails, and says what it waited for, where a broken test would hang."""
    limit = asyncio.timeout(at_most_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(f"after {at_most_s:g} s still waiting for {what}") from None
