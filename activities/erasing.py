"""`erasure.erase` and `erasure.attest`: remove pictures and words, then look everywhere, and write the receipt."""

from contextlib import aclosing
from uuid import UUID

import structlog
from temporalio import activity

from activities.failures import told_to_temporal
from activities.heartbeat import beating
from activities.keeping import Keeper
from contracts.erasures import ErasureFacts, ErasureOrder, ErasureSubject
from contracts.names import ACTIVITY_ATTEST, ACTIVITY_ERASE
from contracts.receipts import Receipts
from db import assets, erasures, forgetting
from db.columns import now
from db.engine import Database
from db.forgetting import Tally
from db.protection_models import Erasure
from errors import StorageError
from storage.base import ObjectStorage

log = structlog.get_logger(__name__)

PAGE = 100


class ErasureActivities:
    """Erases; holds dependencies only."""

    def __init__(self, *, database: Database, storage: ObjectStorage, keeper: Keeper, receipts: Receipts) -> None:
        self._database = database
        self._storage = storage
        self._keeper = keeper
        self._receipts = receipts

    @activity.defn(name=ACTIVITY_ERASE)
    async def erase(self, order: ErasureOrder) -> int:
        """Remove the pictures and the words of all generations that have ended; returns how many are still running.

        Safe to repeat on any worker: what is clean is not looked at again. Raises StorageError for the first picture that could
        not be removed, after all the others were.
        """
        with told_to_temporal():
            async with beating():
                if failure := await self._forget_all(order.erasure_id):
                    raise failure
                async with self._database.transaction() as session:
                    return await forgetting.live(session, order.erasure_id)

    @activity.defn(name=ACTIVITY_ATTEST)
    async def attest(self, order: ErasureOrder) -> bool:
        """Look for what is left, in the tables and in the store; write the receipt when there is nothing.

        False: something is left, or came in meanwhile.
        """
        with told_to_temporal():
            async with beating():
                if await self._objects_left(order.erasure_id):
                    return False
                async with self._database.transaction("erasure.attest") as session:
                    erasure = await erasures.locked(session, order.erasure_id)
                    if erasure.verified_at is None:
                        left = await forgetting.unfinished(session, erasure.id, limit=1)
                        if left or await forgetting.live(session, erasure.id):
                            return False
                        facts = _facts(erasure, await forgetting.tally(session, erasure.id))
                        await erasures.verified(session, erasure, self._receipts.signed(facts))
            log.info("erasure.verified", erasure=str(order.erasure_id))
            return True

    async def _forget_all(self, erasure_id: UUID) -> StorageError | None:
        """The first of the errors that kept generations from being forgotten: one must not keep those behind it from it."""
        first: StorageError | None = None
        after = forgetting.FIRST
        while page := await self._unfinished(erasure_id, after):
            for generation_id, tenant_id in page:
                try:
                    await self._forget(generation_id, tenant_id)
                except StorageError as error:
                    log.warning("erasure.not_forgotten", generation=str(generation_id), code=error.code)
                    first = first or error
            after = page[-1][0]
        return first

    async def _unfinished(self, erasure_id: UUID, after: UUID) -> list[tuple[UUID, UUID]]:
        async with self._database.transaction() as session:
            return list(await forgetting.unfinished(session, erasure_id, after=after, limit=PAGE))

    async def _forget(self, generation_id: UUID, tenant_id: UUID) -> None:
        """Objects before words: the words say which uploads belong to it."""
        async with self._database.transaction("erasure.uploads") as session:
            await forgetting.take_uploads(session, generation_id)
        async with self._database.transaction() as session:
            rows = await assets.of_session(session, [generation_id])
        for row in rows:
            await self._keeper.remove(row.id, reason="erased")
        for key in await self._listed(f"{tenant_id}/{generation_id}/"):  # without a row, or written again since
            await self._keeper.remove_object(key)
        async with self._database.transaction("erasure.redact") as session:
            await forgetting.redact(session, generation_id)

    async def _objects_left(self, erasure_id: UUID) -> bool:
        """By listing what the store has in the folder of each generation, and of its uploads."""
        async with self._database.transaction() as session:
            places = await forgetting.places_in_store(session, erasure_id)
        for place in places:
            if await self._listed(place):
                log.warning("erasure.objects_left", erasure=str(erasure_id))
                return True
        return False

    async def _listed(self, prefix: str) -> list[str]:
        async with aclosing(self._storage.list_prefix(prefix)) as listing:
            return [found.key async for found in listing]


def _facts(erasure: Erasure, tally: Tally) -> ErasureFacts:
    return ErasureFacts(
        erasure_id=erasure.id,
        tenant_id=erasure.tenant_id,
        subject=ErasureSubject(erasure.subject),
        subject_hash=erasure.subject_hash,
        requested_at=erasure.created_at,
        verified_at=now(),
        generations=tally.generations,
        pictures=tally.pictures,
        objects_removed=tally.objects,
        objects_left=0,
        rows_redacted=tally.rows,
    )
