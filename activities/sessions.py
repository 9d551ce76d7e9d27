"""`session.delete`: remove the pictures of a session that its owner deleted."""

from temporalio import activity

from activities.failures import told_to_temporal
from activities.heartbeat import beating
from activities.keeping import Keeper
from contracts.names import ACTIVITY_DELETE_SESSION
from contracts.pictures import SessionDeletion
from db import assets, generations
from db.engine import Database


class SessionActivities:
    """Deletes sessions; holds dependencies only."""

    def __init__(self, *, database: Database, keeper: Keeper) -> None:
        self._database = database
        self._keeper = keeper

    @activity.defn(name=ACTIVITY_DELETE_SESSION)
    async def delete_session(self, deletion: SessionDeletion) -> int:
        """Delete every object of the session's deleted generations that have ended; returns how many are still running."""
        with told_to_temporal():
            async with beating():
                async with self._database.transaction() as session:
                    doomed = await generations.deleted_of_session(session, deletion.tenant_id, deletion.session_id)
                    ended = [row.id for row in doomed if row.status.is_final]
                    rows = await assets.of_session(session, ended)
                for row in rows:
                    await self._keeper.remove(row.id)
        return len(doomed) - len(ended)
