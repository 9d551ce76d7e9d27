"""Rows that are of use for a while only: webhooks that providers sent, findings, quotes, limits, and how providers stood."""

from datetime import datetime, timedelta

from activities.reconciliation.check import Found, Stray
from contracts.reconciliation import FindingAction
from db import compatible_calls, findings, quotes, rate_limits, traffic
from db.columns import now
from db.engine import Database

OLD_ROWS = "old_rows"
# A purchase is looked up for an hour at most; an operator may want to know for a few days who sent what.
NOTICES_KEPT = timedelta(days=7)
FINDINGS_KEPT = timedelta(days=90)
# A client's own key names its call for so long.
CALLS_KEPT = timedelta(days=90)
# Whoever asks why something cost what it did.
QUOTES_KEPT = timedelta(days=30)
# A limit is whole a minute after its last use at the latest, and the clocks of two servers may differ.
LIMITS_KEPT = timedelta(hours=1)
AT_ONCE = 5000


class OldRows:
    """Forgets them; that is no finding."""

    name = "old_rows"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, after: str) -> Found:
        """One entry when there are any."""
        notices, since = _limits()
        async with self._database.transaction() as session:
            count = await findings.old_rows(session, notices=notices, findings=since, limit=AT_ONCE)
            count += await traffic.old_rows(session, limit=AT_ONCE)
            count += await compatible_calls.old_rows(session, before=now() - CALLS_KEPT, limit=AT_ONCE)
            count += await quotes.old_rows(session, before=now() - QUOTES_KEPT, limit=AT_ONCE)
            count += await rate_limits.old_rows(session, before=now() - LIMITS_KEPT, limit=AT_ONCE)
        return Found([Stray(OLD_ROWS, facts={"rows": count})] if count else [])

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Delete what is old."""
        notices, since = _limits()
        async with self._database.transaction("old_rows.purged") as session:
            await findings.purge(session, notices=notices, findings=since, limit=AT_ONCE)
            await traffic.purge(session)
            await compatible_calls.purge(session, before=now() - CALLS_KEPT, limit=AT_ONCE)
            await quotes.purge(session, before=now() - QUOTES_KEPT, limit=AT_ONCE)
            await rate_limits.purge(session, before=now() - LIMITS_KEPT, limit=AT_ONCE)
        return None


def _limits() -> tuple[datetime, datetime]:
    return now() - NOTICES_KEPT, now() - FINDINGS_KEPT
