"""`session.delete`: remove the pictures of a session that its owner deleted."""

from datetime import timedelta

from temporalio import activity

from activities.failures import told_to_temporal
from activities.heartbeat import beating
from activities.keeping import Keeper
from contracts.names import ACTIVITY_DELETE_SESSION
from contracts.pictures import SessionDeletion
from db import assets, generations
from db.columns import now
from db.engine import Database


class SessionActivities:
    """Deletes sessions; holds dependencies only."""

    def __init__(self, *, database: Database, keeper: Keeper, keep: timedelta = timedelta(0)) -> None:
        self._database = database
        self._keeper = keeper
        self._keep = keep  # so long after a deletion its pictures are still there

    @activity.defn(name=ACTIVITY_DELETE_SESSION)
    async def delete_session(self, deletion: SessionDeletion) -> int:
        """Delete every object of the session's deleted generations that have ended; returns how many are still running."""
        with told_to_temporal():
            async with beating():
                async with self._database.transaction() as session:
                    doomed = await generations.deleted_of_session(session, deletion.tenant_id, deletion.session_id)
                    ended = [row.id for row in doomed if row.status.is_final]
                    before = now() - self._keep
                    due = [row.id for row in doomed if row.id in ended and row.deleted_at and row.deleted_at <= before]
                    rows = await assets.of_session(session, due)
                for row in rows:
                    await self._keeper.remove(row.id, reason="deleted")
        return len(doomed) - len(ended)
