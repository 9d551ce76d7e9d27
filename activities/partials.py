"""Unfinished pictures that a client may look at meanwhile: kept while their purchase lasts, and never in its way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from activities.keeping import Keeper
from activities.stored_form import new_asset, new_object
from contracts.statuses import AssetRole, AssetState
from db import assets, events
from db.engine import Database
from db.models import Spend
from errors import DioramaError
from imaging.fit import FittedPicture
from imaging.inspect import inspect
from providers.base import PartialPicture
from storage.base import ObjectStorage

log = structlog.get_logger(__name__)

LARGEST_BYTES = 20_000_000
KEEP_WITHIN_S = 10.0


class Partials:
    """Puts unfinished pictures into the store and tells of them; what goes wrong with that is nobody's loss."""

    def __init__(self, database: Database, storage: ObjectStorage, keeper: Keeper) -> None:
        self._database = database
        self._storage = storage
        self._keeper = keeper

    @asynccontextmanager
    async def shown(self, spend: Spend, wanted: int) -> AsyncIterator[PartialPicture | None]:
        """Where the block's purchase may hand its unfinished pictures to, at most `wanted`; None when none are wanted.

        They are gone when the block ends, also those of an earlier attempt.
        """
        if not wanted:
            yield None
            return
        tasks: dict[int, asyncio.Task[None]] = {}
        is_open = True

        def take(number: int, body: bytes) -> None:
            if is_open and number < wanted and number not in tasks:
                tasks[number] = asyncio.create_task(
                    self._kept(spend, number, body), name=f"partial-{spend.id}-{number}"
                )

        try:
            yield take
        finally:
            is_open = False
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            await self._remove_all(spend)

    async def _remove_all(self, spend: Spend) -> None:
        """What cannot be removed now is found by the reconciler."""
        try:
            async with asyncio.timeout(KEEP_WITHIN_S):
                async with self._database.transaction() as session:
                    rows = await assets.partials_of_spend(session, spend)
                for row in rows:
                    await self._keeper.remove(row.id)
        except (DioramaError, TimeoutError) as error:
            log.warning("partial.left_behind", spend=str(spend.id), error=type(error).__name__)

    async def _kept(self, spend: Spend, number: int, body: bytes) -> None:
        try:
            async with asyncio.timeout(KEEP_WITHIN_S):
                await self._keep(spend, number, body)
        except (DioramaError, TimeoutError) as error:
            log.info("partial.not_shown", spend=str(spend.id), number=number, error=type(error).__name__)

    async def _keep(self, spend: Spend, number: int, body: bytes) -> None:
        facts = await asyncio.to_thread(inspect, body, max_bytes=LARGEST_BYTES)
        await self._keeper.check(body)
        sha256 = hashlib.sha256(body).hexdigest()
        picture = FittedPicture(
            body=body, content_type=facts.content_type, width=facts.width, height=facts.height, sha256=sha256
        )
        async with self._database.statement("asset.pending") as session:
            row = await assets.announce(session, new_asset(spend, picture, AssetRole.partial))
        await self._storage.put(new_object(row, None), _whole(body), len(body))
        data = {"step": spend.step, "asset_id": str(row.id), "index": number}
        async with self._database.transaction("partial.stored") as session:
            await events.append(session, spend.generation_id, "picture.partial", data)
            await assets.mark(session, row.id, AssetState.stored)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
