"""`picture.undo`: take back everything a step did: the provider's job, the objects, the money. Harmless when repeated."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from temporalio import activity

from activities.buying import Buyer
from activities.failures import told_to_temporal
from activities.heartbeat import beating
from activities.keeping import Keeper
from activities.observation import named
from activities.waiting import Waiter
from contracts.names import ACTIVITY_UNDO_PICTURE
from contracts.pictures import UndoOrder, UndoReport
from contracts.statuses import SpendState, Status
from db import assets, ledger, lives
from db.engine import Database
from db.models import Spend
from errors import GenerationCanceled, JobCanceled, OutcomeUnknown, ProviderError

log = structlog.get_logger(__name__)


class UndoActivities:
    """Takes pictures back; holds dependencies only."""

    def __init__(
        self,
        *,
        database: Database,
        buyer: Buyer,
        waiter: Waiter,
        keeper: Keeper,
    ) -> None:
        self._database = database
        self._buyer = buyer
        self._waiter = waiter
        self._keeper = keeper

    @activity.defn(name=ACTIVITY_UNDO_PICTURE)
    async def undo_picture(self, order: UndoOrder) -> UndoReport:
        """Cancel upstream, settle or release, delete and verify; says what could not be taken back."""
        with named(order.generation_id, step=order.step), told_to_temporal():
            async with beating():
                async with self._database.transaction("undo.begin") as session:
                    generation = await lives.read(session, order.generation_id)
                    if generation.status is Status.succeeded or generation.run != order.run:
                        return UndoReport(step=order.step)  # what a client was promised, or a further run needs, stays
                    spends = await ledger.take_over(session, order.generation_id, order.step)
                canceled, remaining, away = await self._end_all(spends)
                deleted = await self._delete_all(order)
                if away:  # everything else is undone; the next attempt finds only this left to do
                    raise away
        return UndoReport(step=order.step, deleted_assets=deleted, canceled_jobs=canceled, remaining=remaining)

    async def _end_all(self, spends: Sequence[Spend]) -> tuple[int, tuple[str, ...], ProviderError | None]:
        canceled, remaining, away = 0, [], None
        for spend in spends:
            try:
                canceled += await self._end(spend)
            except OutcomeUnknown:
                remaining.append(f"purchase {spend.id} at {spend.provider}: it is not known whether it was made")
            except ProviderError as error:
                away = error
        return canceled, tuple(remaining), away

    async def _end(self, spend: Spend) -> int:
        """1 when a job was canceled at the provider, 0 when there was none."""
        reason = GenerationCanceled.code
        if spend.state is SpendState.unknown:
            raise OutcomeUnknown
        if spend.state is SpendState.sent:
            spend = await self._buyer.lost.found_again(spend)
        if spend.state is SpendState.held:
            await self._buyer.end_without_picture(spend, ProviderError(billed="no"), code=reason)
            return 0
        if spend.provider_job_id is None:  # a synchronous answer, paid and stored raw
            await self._buyer.end_without_picture(spend, ProviderError(billed="yes"), code=reason)
            return 0
        report = await self._waiter.stopped(spend)
        failure = report.failure or (ProviderError(billed="yes") if report.state == "succeeded" else JobCanceled())
        await self._buyer.end_without_picture(spend, failure, code=reason, cost_usd=report.cost_usd)
        log.info("picture.job_stopped", provider=spend.provider, ended_as=report.state, billed=failure.billed)
        return int(report.state == "canceled")

    async def _delete_all(self, order: UndoOrder) -> tuple[UUID, ...]:
        async with self._database.transaction() as session:
            rows = await assets.of_step(session, order.generation_id, order.step)
        return tuple([row.id for row in rows if await self._keeper.remove(row.id)])
