"""Runs the real workflows with fake activities: what they were asked is remembered, what they answer is set by the test."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.names import (
    ACTIVITY_CLOSE,
    ACTIVITY_MAKE_PICTURE,
    ACTIVITY_OPEN,
    ACTIVITY_REPLAN,
    ACTIVITY_UNDO_PICTURE,
    MAIN_QUEUE,
    provider_queue,
    workflow_id,
)
from contracts.pictures import (
    AssetRef,
    Candidate,
    Closing,
    GenerationInput,
    Opened,
    PictureMade,
    PictureOrder,
    StepPlan,
    UndoOrder,
    UndoReport,
)
from contracts.replanning import Replanned, ReplanOrder
from contracts.statuses import Kind, Step
from errors import DioramaError
from worker import WORKFLOWS

Maker = Callable[[PictureOrder], Awaitable[PictureMade]]


def candidate(provider: str = "replicate", policy: str = "resubmit") -> Candidate:
    fields = {"provider": provider, "model": "model-x", "max_usd": "0.05", "unknown_policy": policy}
    return Candidate.model_validate(fields)


def plan(*candidates: Candidate, steps: tuple[Step, ...] = (Step.avatar, Step.scene)) -> Opened:
    wanted = candidates or (candidate("replicate"), candidate("openai"))
    return Opened(steps=tuple(StepPlan(step=step, candidates=wanted, deadline_s=300) for step in steps))


def picture(order: PictureOrder) -> PictureMade:
    asset = AssetRef(
        asset_id=uuid4(), key="k", sha256="0" * 64, size_bytes=1, content_type="image/png", width=1, height=1
    )
    made_by = order.candidate
    cost = Decimal("0.01")
    return PictureMade(step=order.step, asset=asset, provider=made_by.provider, model=made_by.model, cost_usd=cost)


def failing(error: type[DioramaError]) -> ApplicationError:
    return ApplicationError(error.title, {"billed": error.billed}, type=error.code, non_retryable=True)


class Stage:
    """The workers; `orders`, `undone` and `closings` are what the workflows asked for."""

    def __init__(self, client: Client, *, max_cached_workflows: int) -> None:
        self.client = client
        self.opened = plan()
        self.open_fails = 0  # so many times
        self.orders: list[PictureOrder] = []
        self.undone: list[Step] = []
        self.closings: list[Closing] = []
        self.make: Maker = self._make
        self.replans: list[ReplanOrder] = []
        self.reorder: Callable[[ReplanOrder], tuple[Candidate, ...]] = lambda order: order.rest
        self.undo_fails = False
        self.undo_may_go_on = asyncio.Event()
        self.undo_may_go_on.set()
        self.undo_begun = asyncio.Event()
        self._cached = max_cached_workflows
        self._stack = AsyncExitStack()

    async def _make(self, order: PictureOrder) -> PictureMade:
        return picture(order)

    async def __aenter__(self) -> Self:
        @activity.defn(name=ACTIVITY_OPEN)
        async def open_(_given: GenerationInput) -> Opened:
            if self.open_fails > 0:
                self.open_fails -= 1
                raise ApplicationError("the database is away", type="database_unavailable")
            return self.opened

        @activity.defn(name=ACTIVITY_REPLAN)
        async def replan(order: ReplanOrder) -> Replanned:
            self.replans.append(order)
            return Replanned(candidates=self.reorder(order))

        @activity.defn(name=ACTIVITY_CLOSE)
        async def close(closing: Closing) -> None:
            self.closings.append(closing)

        @activity.defn(name=ACTIVITY_MAKE_PICTURE)
        async def make(order: PictureOrder) -> PictureMade:
            self.orders.append(order)
            beat = asyncio.create_task(_beat())
            try:
                return await self.make(order)
            finally:
                beat.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beat

        @activity.defn(name=ACTIVITY_UNDO_PICTURE)
        async def undo(order: UndoOrder) -> UndoReport:
            self.undo_begun.set()
            await self.undo_may_go_on.wait()
            if self.undo_fails:
                raise ApplicationError("the store is away", type="storage_unavailable")
            self.undone.append(order.step)
            return UndoReport(step=order.step, deleted_assets=(uuid4(),))

        runner = UnsandboxedWorkflowRunner()
        main = Worker(
            self.client,
            task_queue=MAIN_QUEUE,
            workflows=WORKFLOWS,
            activities=[open_, replan, close, undo],
            workflow_runner=runner,
            max_cached_workflows=self._cached,
        )
        await self._stack.enter_async_context(main)
        for name in ("replicate", "openai"):
            worker = Worker(
                self.client,
                task_queue=provider_queue(name),
                activities=[make],
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            )
            await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(self, name: str, kind: Kind = Kind.avatar_scene) -> WorkflowHandle[object, None]:
        given = GenerationInput(generation_id=uuid4(), tenant_id=UUID(int=1), kind=kind)
        return await self.client.start_workflow(
            name, given, id=workflow_id(given.generation_id), task_queue=MAIN_QUEUE, result_type=type(None)
        )

    async def run(self, name: str, kind: Kind = Kind.avatar_scene) -> WorkflowFailureError | None:
        """Run to the end; the failure if it failed."""
        handle = await self.start(name, kind)
        try:
            await handle.result()
        except WorkflowFailureError as error:
            return error
        return None


async def others_have_ended(client: Client) -> None:
    """Wait, in an activity, until the engine knows that no other one of its workflow is under way.

    The time-skipping server loses a workflow that cancels an activity in the moment in which it ends; the real one does not.
    """
    handle = client.get_workflow_handle(activity.info().workflow_id or "")
    while len((await handle.describe()).raw_description.pending_activities) > 1:  # noqa: ASYNC110 the engine has no event
        await asyncio.sleep(0.02)


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)
