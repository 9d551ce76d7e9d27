"""Pictures that were begun, or were to be deleted, and that nobody works on any more; and those of generations that failed."""

from activities.keeping import Keeper
from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after, next_after
from contracts.reconciliation import FindingAction
from db import strays
from db.engine import Database
from db.models import Asset, now

UNFINISHED = "asset_unfinished"


class UnfinishedAssets:
    """Removes the object, if there is one, verifies that it is gone, and ends the row."""

    name = "unfinished_assets"

    def __init__(self, database: Database, keeper: Keeper, rules: ReconcilingRules) -> None:
        self._database = database
        self._keeper = keeper
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Pictures in a state that they should long have left, of generations that were closed or never came to be."""
        before = now() - self._rules.grace
        async with self._database.transaction() as session:
            rows = await strays.unfinished_assets(session, before=before, after=id_after(after), limit=PAGE)
        return Found([Stray.of_asset(UNFINISHED, row, state=row.state) for row in rows], next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Delete and verify, if it still is so."""
        row: Asset = stray.row
        async with self._database.transaction() as session:
            if await strays.unfinished_asset(session, row.id, before=now() - self._rules.grace) is None:
                return None
        return "removed" if await self._keeper.remove(row.id) else None
