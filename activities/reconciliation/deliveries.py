"""Webhooks that are to be delivered, against the engine's runs: every pending one must have a workflow that lives."""

from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after, next_after
from contracts.names import delivery_workflow_id
from contracts.reconciliation import Fact, FindingAction
from db import deliveries, strays
from db.columns import now
from db.engine import Database
from db.webhook_models import Delivery
from engine.runs import Runs
from engine.starts import DeliveryStart

NOT_STARTED = "delivery_not_started"
GONE = "delivery_gone"


class Deliveries:
    """Starts what was not started, and goes on with what was ended from outside, by a further run."""

    name = "deliveries"

    def __init__(self, database: Database, runs: Runs, rules: ReconcilingRules) -> None:
        self._database = database
        self._runs = runs
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Pending deliveries of which the next attempt is overdue, each with the state of its workflow."""
        before = now() - self._rules.not_started
        async with self._database.transaction() as session:
            rows = await strays.overdue_deliveries(session, before=before, after=id_after(after), limit=PAGE)
        found = [stray for stray in [await self._stray(row) for row in rows] if stray]
        return Found(found, next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Start its workflow, or have the API start a further run of it."""
        row: Delivery = stray.row
        if stray.kind == NOT_STARTED:
            await self._runs.start(DeliveryStart.of(row))
            async with self._database.transaction("delivery.found_dispatched") as session:
                await deliveries.mark_dispatched(session, [(row.id, row.run)])
            return "started"
        async with self._database.transaction("delivery.engine_lost_it") as session:
            return "reopened" if await deliveries.rerun(session, row) else None

    async def _stray(self, row: Delivery) -> Stray | None:
        state = None
        if row.dispatched_at is not None:
            state = await self._runs.state(delivery_workflow_id(row.id, row.run))
        if state is None:
            return _of(NOT_STARTED, row, dispatched=row.dispatched_at is not None)
        if state.closed_at is None or now() - state.closed_at < self._rules.closed:
            return None
        return _of(GONE, row, engine=state.ended_as)


def _of(kind: str, row: Delivery, **facts: str | bool) -> Stray:
    known: dict[str, Fact] = {"delivery": str(row.id), "run": row.run}
    return Stray(kind, tenant_id=row.tenant_id, generation_id=row.generation_id, facts={**known, **facts}, row=row)
