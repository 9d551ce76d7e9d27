"""Generations that are to be worked on, against the engine's runs: every one must have a workflow that lives."""

import asyncio
from collections.abc import Sequence

from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after, next_after
from contracts.names import take_back_id, workflow_id
from contracts.reconciliation import FindingAction
from contracts.statuses import Status
from db import generations, lives, strays, tenants
from db.columns import now
from db.engine import Database
from db.models import Generation
from engine.runs import Runs, RunState
from engine.starts import GenerationStart, TakeBackStart

NOT_STARTED = "generation_not_started"
GONE = "workflow_gone"
# The engine answers in a millisecond; more questions at once would only wait there.
QUESTIONS_AT_ONCE = 16


class WorkflowsOfGenerations:
    """Starts what was not started, tells again what the engine lost, and takes back what was ended from outside."""

    name = "workflows"

    def __init__(self, database: Database, runs: Runs, rules: ReconcilingRules) -> None:
        self._database = database
        self._runs = runs
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Queued generations of which nothing was heard, and running ones, each with the state of its workflow."""
        behind = id_after(after)
        async with self._database.transaction() as session:
            since = now() - self._rules.not_started
            queued = await strays.queued_quietly(session, since=since, after=behind, limit=PAGE)
            running = await strays.running(session, after=behind, limit=PAGE)
        rows = sorted([*queued, *running], key=lambda row: row.id)[:PAGE]
        return Found(await self._astray(rows), next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Start the workflow, have the story told once more, or start the taking back."""
        row: Generation = stray.row
        if await self._has_moved(row):
            return None
        if stray.kind == NOT_STARTED:
            return await self._start(row)
        if stray.facts["engine"] == "not_found" and await self._can_go_on(row):
            return await self._reopen(row)
        await self._runs.start(TakeBackStart(row.id, row.tenant_id, row.kind, row.run))
        return "take_back_started"

    async def _astray(self, rows: Sequence[Generation]) -> list[Stray]:
        room = asyncio.Semaphore(QUESTIONS_AT_ONCE)

        async def look(row: Generation) -> Stray | None:
            async with room:
                return await self._stray(row)

        return [stray for stray in await asyncio.gather(*(look(row) for row in rows)) if stray]

    async def _stray(self, row: Generation) -> Stray | None:
        if row.status is Status.queued and row.dispatched_at is None:
            return Stray.of_generation(NOT_STARTED, row, dispatched=False)
        state = await self._runs.state(workflow_id(row.id, row.run))
        if state is None and row.status is Status.queued:
            return Stray.of_generation(NOT_STARTED, row, dispatched=True)
        if (state is not None and not self._closed_long_ago(state)) or await self._is_taken_back(row):
            return None
        return Stray.of_generation(GONE, row, engine=state.ended_as if state else "not_found")

    def _closed_long_ago(self, state: RunState) -> bool:
        return state.closed_at is not None and now() - state.closed_at > self._rules.closed

    async def _is_taken_back(self, row: Generation) -> bool:
        """Whether the taking back is under way."""
        state = await self._runs.state(take_back_id(row.id, row.run))
        return state is not None and state.is_running

    async def _has_moved(self, row: Generation) -> bool:
        async with self._database.transaction() as session:
            current = await lives.read(session, row.id)
        return (current.status, current.run) != (row.status, row.run)

    async def _can_go_on(self, row: Generation) -> bool:
        """Whether a further run could bring it to a good end: not when this one was taking back already what it had made."""
        if lives.is_unwanted(row):
            return False
        async with self._database.transaction() as session:
            return not await strays.undo_has_begun(session, row.id)

    async def _start(self, row: Generation) -> FindingAction:
        async with self._database.transaction() as session:
            weights = await tenants.weights(session, {row.tenant_id})
        await self._runs.start(GenerationStart.of(row, weight=weights[row.tenant_id]))
        async with self._database.transaction("generation.found_dispatched") as session:
            await generations.mark_dispatched(session, [(row.id, row.run)])
        return "started"

    async def _reopen(self, row: Generation) -> FindingAction | None:
        async with self._database.transaction("generation.engine_lost_it") as session:
            current = await lives.read(session, row.id, lock=True)
            if (current.status, current.run) != (row.status, row.run):
                return None
            reopened = await lives.reopen(session, row.id, "engine_lost_it")
        return "reopened" if reopened else None
