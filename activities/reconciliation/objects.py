"""The store against the tables, both in the order of keys: no object without a row, no row without an object."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import islice

from activities.keeping import Keeper
from activities.reconciliation.check import Found, ReconcilingRules, Stray
from contracts.reconciliation import FindingAction
from contracts.statuses import AssetState
from db import objects
from db.columns import now
from db.engine import Database
from db.models import Asset
from storage.base import ObjectStorage, StoredObject

WITHOUT_ROW = "object_without_row"
WITHOUT_OBJECT = "row_without_object"
# Two pages of a listing; a bucket of a million objects is gone through in 500 rounds.
LOOKED_AT = 2000
KEYS_PER_QUERY = 500


class Objects:
    """Removes objects that no row knows. A row whose object is lost is reported: nothing can bring the picture back."""

    name = "objects"

    def __init__(self, database: Database, storage: ObjectStorage, keeper: Keeper, rules: ReconcilingRules) -> None:
        self._database = database
        self._storage = storage
        self._keeper = keeper
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Both kinds among the next keys. The bucket is Diorama's own: whatever has no row is astray."""
        before = now() - self._rules.grace
        listed = await self._listed(after)
        upto = listed[-1].key if len(listed) == LOOKED_AT else None
        async with self._database.transaction() as session:
            rows = await objects.stored_between(session, after=after, upto=upto, before=before, limit=LOOKED_AT)
        if len(rows) == LOOKED_AT:  # fewer objects than rows: then the rows say how far this look goes
            upto = rows[-1].key
            listed = [found for found in listed if found.key.encode() <= upto.encode()]
        old = [found for found in listed if found.modified_at < before]
        strays = await self._without_row(old) + await self._without_object(rows, {found.key for found in listed})
        return Found(strays, upto or "")

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Delete the object and verify that it is gone, or say that a picture is lost, if it still is so."""
        if stray.kind == WITHOUT_ROW:
            key = stray.object_key or ""
            async with self._database.transaction() as session:
                if await objects.keys_with_rows(session, [key]):
                    return None
            await self._keeper.remove_object(key)
            return "removed"
        async with self._database.transaction() as session:
            row = await session.get(Asset, stray.asset_id)
        if row is None or row.state is not AssetState.stored or await self._keeper.has_object(row.key):
            return None
        return "reported"

    async def _listed(self, after: str) -> list[StoredObject]:
        listed: list[StoredObject] = []
        async with aclosing(self._storage.list_prefix("", after=after)) as listing:
            async for found in listing:
                listed.append(found)
                if len(listed) == LOOKED_AT:
                    break
        return listed

    async def _without_row(self, listed: list[StoredObject]) -> list[Stray]:
        found: list[Stray] = []
        waiting = iter(listed)
        while page := list(islice(waiting, KEYS_PER_QUERY)):
            async with self._database.transaction() as session:
                known = await objects.keys_with_rows(session, [one.key for one in page])
            found += [
                Stray(WITHOUT_ROW, object_key=one.key, facts={"size_bytes": one.size_bytes})
                for one in page
                if one.key not in known
            ]
        return found

    async def _without_object(self, rows: Sequence[Asset], there: set[str]) -> list[Stray]:
        """The listing and the rows are of two moments: each one is asked for by itself."""
        return [
            Stray.of_asset(WITHOUT_OBJECT, row, sha256=row.sha256)
            for row in rows
            if row.key not in there and not await self._keeper.has_object(row.key)
        ]
