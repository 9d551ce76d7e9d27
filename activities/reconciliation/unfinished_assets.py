"""Pictures that were begun, or were to be deleted, and that nobody works on any more; and those of generations that failed."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.keeping import Keeper
from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after
from contracts.reconciliation import FindingAction
from db import strays
from db.columns import now
from db.engine import Database
from db.models import Asset

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
            left = await strays.unfinished_assets(session, before=before, after=id_after(after), limit=PAGE)
        found = [Stray.of_asset(UNFINISHED, row, state=row.state) for row in left.assets]
        return Found(found, str(left.last or ""))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Delete and verify, if it still is so."""
        row: Asset = stray.row

        async def is_unfinished(session: AsyncSession) -> bool:
            return await strays.is_unfinished(session, row.id, before=now() - self._rules.grace)

        return "removed" if await self._keeper.remove(row.id, when=is_unfinished) else None
