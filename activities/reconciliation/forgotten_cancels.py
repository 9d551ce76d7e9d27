"""Wishes to stop that the engine has not heard of: the process that wrote the wish down ended before it could pass it on."""

from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after, next_after
from contracts.names import workflow_id
from contracts.reconciliation import FindingAction
from db import generations, lives, strays
from db.columns import now
from db.engine import Database
from db.models import Generation
from engine.runs import Runs

FORGOTTEN = "cancel_forgotten"


class ForgottenCancels:
    """Passes wishes to stop on once more, to the engine and to whoever works on the generation."""

    name = "forgotten_cancels"

    def __init__(self, database: Database, runs: Runs, rules: ReconcilingRules) -> None:
        self._database = database
        self._runs = runs
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Live generations that were asked to stop a while ago, and whose workflow runs on without knowing it."""
        before = now() - self._rules.cancel
        async with self._database.transaction() as session:
            rows = await strays.asked_to_stop(session, before=before, after=id_after(after), limit=PAGE)
        found = [Stray.of_generation(FORGOTTEN, row) for row in rows if await self._knows_nothing(row)]
        return Found(found, next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Ask the engine to cancel; wake the attempt that is under way, which then reads the wish from the row."""
        row: Generation = stray.row
        async with self._database.transaction() as session:
            current = await lives.read(session, row.id)
            if current.status.is_final or current.run != row.run:
                return None
            await generations.wake_for_cancel(session, row.id)
        await self._runs.cancel(workflow_id(row.id, row.run))
        return "reminded"

    async def _knows_nothing(self, row: Generation) -> bool:
        state = await self._runs.state(workflow_id(row.id, row.run))
        # One that is not there, or has closed, is what the check of the workflows looks for.
        return state is not None and state.is_running and not state.cancel_requested
