"""Starting workflows after acceptance: at once when the engine answers, later when it does not, never lost.

The row is the promise. This process starts what it accepted from a bounded queue; a sweep over the rows finds what was not
started, whoever accepted it. Several replicas may start the same workflow: its id makes that harmless.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.dispatch_marks import DispatchMarks
from api.metrics import Metrics
from contracts.erasures import ErasureOrder
from contracts.names import workflow_id
from db import erasures, generations, sessions, tenants
from db.columns import now
from db.engine import Database
from engine.starts import RPC_TIMEOUT, ErasureStart, GenerationStart, SessionDeletionStart, Start
from errors import DatabaseUnavailable
from fault_points import Reach, pass_by

log = structlog.get_logger(__name__)

AT_ONCE = 32  # starts in flight; one start costs the engine 4 ms of CPU, so more would only wait there
CAPACITY = 10_000  # starts that wait in memory; what does not fit is found by the sweep
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
SWEEP_EVERY_S = 3.0
SWEEP_LIMIT = 1000  # the engine starts fewer between two sweeps
SWEEP_AGE = timedelta(seconds=5)  # younger rows are most likely in some process's queue
DELETIONS_EVERY = 5  # sweeps; the query for deleted sessions reads more rows

# The engine is away, overloaded or moving: the same call can succeed later. Anything else is a fault of ours.
PASSING = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
}


class Dispatcher:
    """A bounded starter of workflows; `running()` is its life."""

    def __init__(
        self,
        client: Client,
        database: Database,
        metrics: Metrics,
        *,
        at_once: int = AT_ONCE,
        keep_deleted: timedelta = timedelta(0),
        reach: Reach = pass_by,
    ) -> None:
        self._client = client
        self._database = database
        self._at_once = at_once
        self._keep_deleted = keep_deleted
        self._reach = reach
        self._queue: asyncio.Queue[Start] = asyncio.Queue(CAPACITY)
        self._waiting: set[str] = set()
        self._marks = DispatchMarks(database)
        self._failures = 0
        self._probing = asyncio.Lock()
        self._cancels: set[asyncio.Task[None]] = set()
        metrics.dispatch_backlog.set_function(lambda: len(self._waiting))

    def start_soon(self, start: Start) -> None:
        """Start this as soon as possible. Never fails, never waits: what cannot be queued is found by the sweep."""
        if start.key in self._waiting or self._marks.has(start) or self._queue.full():
            return
        self._waiting.add(start.key)
        self._queue.put_nowait(start)

    def cancel_soon(self, generation_id: UUID, run: int) -> None:
        """Tell the engine that the client wants to stop. A hint that may be lost: the row says it for good."""
        task = asyncio.create_task(self._cancel(workflow_id(generation_id, run)))
        self._cancels.add(task)
        task.add_done_callback(self._cancels.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start, sweep and mark until the block ends; what is not started by then is left to the sweep of others."""
        tasks = [asyncio.create_task(self._start_forever(), name=f"start-{n}") for n in range(self._at_once)]
        tasks.append(asyncio.create_task(self._sweep_forever(), name="sweep"))
        tasks.append(asyncio.create_task(self._marks.write_forever(), name="mark"))
        try:
            yield
        finally:
            for task in (*tasks, *self._cancels):
                task.cancel()
            await asyncio.gather(*tasks, *self._cancels, return_exceptions=True)
            with suppress(DatabaseUnavailable):
                await self._marks.write()

    async def _start_forever(self) -> None:
        while True:
            start = await self._queue.get()
            while not await self._attempt(start):
                self._failures += 1
            self._failures = 0
            self._waiting.discard(start.key)

    async def _attempt(self, start: Start) -> bool:
        """One try. While the engine is away one task tries, with growing pauses, and the others wait for it."""
        if not self._failures:
            return await self._is_settled(start)
        async with self._probing:
            if self._failures:
                pause = BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            return await self._is_settled(start)

    async def _is_settled(self, start: Start) -> bool:
        """True when there is nothing left to try now."""
        try:
            self._reach("workflow.start:before")
            await start.send(self._client)
            self._reach("workflow.start:after")
        except RPCError as error:
            log.warning("dispatch.failed", workflow=start.key, status=error.status.name)
            return error.status not in PASSING
        except (RuntimeError, OSError) as error:  # a lazy client that cannot connect raises RuntimeError
            log.warning("dispatch.failed", workflow=start.key, error=type(error).__name__)
            return False
        except Exception:
            log.exception("dispatch.broken", workflow=start.key)
            return True
        self._marks.note(start)
        return True

    async def _sweep_forever(self) -> None:
        sweeps = 0
        while True:
            try:
                await self._sweep(deletions=sweeps % DELETIONS_EVERY == 0)
            except DatabaseUnavailable:
                log.warning("sweep.postponed")
            except Exception:
                log.exception("sweep.broken")
            sweeps += 1
            await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.8, 1.2))

    async def _sweep(self, *, deletions: bool) -> None:
        if len(self._waiting) >= SWEEP_LIMIT:
            return
        before = now() - self._keep_deleted
        async with self._database.transaction() as session:
            forgotten = await generations.undispatched(session, older_than=SWEEP_AGE, limit=SWEEP_LIMIT)
            doomed = await sessions.undeleted(session, before=before, limit=100) if deletions else ()
            wishes = await erasures.unverified(session, before=now() - SWEEP_AGE, limit=100) if deletions else ()
            weights = await tenants.weights(session, {generation.tenant_id for generation in forgotten})
        for generation in forgotten:
            self.start_soon(GenerationStart.of(generation, weight=weights[generation.tenant_id]))
        for deletion in doomed:
            self.start_soon(SessionDeletionStart(deletion))
        for wish in wishes:
            self.start_soon(ErasureStart(ErasureOrder(erasure_id=wish.id, tenant_id=wish.tenant_id)))

    async def _cancel(self, workflow: str) -> None:
        self._reach("workflow.cancel:before")
        try:
            await self._client.get_workflow_handle(workflow).cancel(rpc_timeout=RPC_TIMEOUT)
        except (RPCError, RuntimeError, OSError) as error:
            log.info("cancel.left_to_the_row", workflow=workflow, error=type(error).__name__)
        self._reach("workflow.cancel:after")
