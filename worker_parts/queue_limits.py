"""Brings the operators' limits of whole providers to the engine, which hands out the pictures of each provider's queue."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from background import in_background
from contracts.names import provider_queue
from db import lanes
from db.engine import Database
from engine.queue_limits import QueueLimits
from errors import DatabaseUnavailable, EngineUnavailable

# A change of an operator's has to hold over the whole fleet within five seconds.
LOOK_EVERY_S: Final = 2.0
# The engine keeps what it was told; it is asked now and then, in case that it lost it, or was told by somebody else.
ASK_EVERY_S: Final = 60.0

log = structlog.get_logger(__name__)


class LimitKeeper:
    """Makes the engine's limits those of the lanes. Every worker has one: they all bring the same, so any number is harmless.

    `share`: how much of a limit is used, because a queue may burst for a second.
    """

    def __init__(self, database: Database, limits: QueueLimits, providers: Iterable[str], *, share: float) -> None:
        self._database = database
        self._limits = limits
        self._providers = tuple(providers)
        self._share = share
        self._known: dict[str, float | None] = {}

    async def keep(self) -> None:
        """Tell the engine each limit that is not what it has. Raises DatabaseUnavailable, EngineUnavailable."""
        async with self._database.transaction() as session:
            wanted = await lanes.provider_limits(session)
        for provider in self._providers:
            await self._keep_one(provider, self._per_second(wanted, provider))

    def forget(self) -> None:
        """Ask the engine again what it has."""
        self._known.clear()

    def _per_second(self, wanted: Mapping[str, int], provider: str) -> float | None:
        return wanted[provider] / 60 * self._share if provider in wanted else None

    async def _keep_one(self, provider: str, per_second: float | None) -> None:
        if provider in self._known and _same(self._known[provider], per_second):
            return
        queue = provider_queue(provider)
        # Another worker may have been quicker: of a large fleet only one should write.
        if not _same(await self._limits.per_second(queue), per_second):
            await self._limits.set(queue, per_second, reason="an operator's limit of the lane")
            log.info("lane.limit_applied", provider=provider, per_second=per_second)
        self._known[provider] = per_second


def _same(known: float | None, wanted: float | None) -> bool:
    """The engine keeps single precision."""
    if known is None or wanted is None:
        return known is wanted
    return abs(known - wanted) <= wanted * 1e-5


def limits_kept(keeper: LimitKeeper) -> AbstractAsyncContextManager[None]:
    """While the block runs, what operators decide about limits reaches the engine within seconds."""
    return in_background(_keep_on(keeper), name="queue-limits")


async def _keep_on(keeper: LimitKeeper) -> None:
    looks = 0
    while True:
        try:
            await keeper.keep()
        except (DatabaseUnavailable, EngineUnavailable) as error:
            log.warning("lane.limits_not_kept", error=error.code)
            keeper.forget()
        await asyncio.sleep(LOOK_EVERY_S)
        looks += 1
        if looks * LOOK_EVERY_S >= ASK_EVERY_S:
            looks = 0
            keeper.forget()
