"""Pictures that are not to be kept any longer: too old, of deleted sessions, of sessions that nobody uses any more, or uploads
that nobody ever used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.keeping import Keeper
from activities.reconciliation.check import PAGE, Found, Stray
from contracts.reconciliation import FindingAction
from db import retention
from db.columns import now
from db.engine import Database
from db.models import Asset

RETENTION, EXPIRED, UNUSED = "retention", "expired", "unused"


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """How long pictures are kept where their tenant has no figure of its own; None: for ever. `deleted`: how long those of deleted sessions are kept.

    `unused`: how long an upload waits for its first generation.
    """

    pictures: timedelta | None = None
    deleted: timedelta = timedelta(0)
    abandoned: timedelta | None = None
    unused: timedelta = timedelta(days=1)


class Retention:
    """Removes them, each with the reason in its event; the rows of generations and purchases stay."""

    name = "retention"

    def __init__(self, database: Database, keeper: Keeper, rules: RetentionRules) -> None:
        self._database = database
        self._keeper = keeper
        self._rules = rules

    async def find(self, after: str) -> Found:
        """The pictures that may go, at most a page for each reason, each once."""
        moment, rules = now(), self._rules
        async with self._database.transaction() as session:
            by_reason: dict[str, Sequence[Asset]] = {
                "deleted": await retention.deleted(session, deleted_before=moment - rules.deleted, limit=PAGE),
                UNUSED: await retention.unused(session, stored_before=moment - rules.unused, limit=PAGE),
                EXPIRED: await self._expired(session, moment),
            }
            if rules.abandoned is not None:
                before = moment - rules.abandoned
                by_reason["abandoned"] = await retention.abandoned(session, newest_before=before, limit=PAGE)
        strays = {
            row.id: Stray.of_asset(RETENTION, row, reason=reason) for reason, rows in by_reason.items() for row in rows
        }
        return Found(list(strays.values()))

    async def _expired(self, session: AsyncSession, moment: datetime) -> Sequence[Asset]:
        theirs = await retention.expired_by_own_figure(session, at=moment, limit=PAGE)
        if self._rules.pictures is None:
            return theirs
        before = moment - self._rules.pictures
        return [*theirs, *await retention.expired(session, stored_before=before, limit=PAGE)]

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Remove the picture, unless somebody began to work with it."""
        row, reason = stray.row, str(stray.facts["reason"])
        asks = retention.is_unused if reason == UNUSED else retention.may_go

        async def may_go(session: AsyncSession) -> bool:
            return await asks(session, row.id)

        removed = await self._keeper.remove(row.id, reason=reason, when=may_go)
        return "removed" if removed else None
