"""Somebody acts between the moment in which something was found astray and the moment in which it is mended."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession
from uuid_utils.compat import uuid7

from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.check import ReconcilingRules, Stray
from activities.reconciliation.retention import RETENTION, Retention, RetentionRules
from activities.reconciliation.stray_jobs import StrayJobs
from activities.reconciliation.unfinished_assets import UNFINISHED, UnfinishedAssets
from contracts.pictures import Closing
from contracts.statuses import AssetState, Kind, Step
from db import assets, generations, input_assets, ledger, lives
from db.columns import now
from db.models import Asset, Generation
from providers.base import JobReport, ListedJob
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.reconciler.review_desk import ReviewDesk
from tests.integration.test_buying import UNKNOWABLE
from tests.integration.test_ledger import a_generation


async def a_picture(tables: Tables, generation_id: UUID | None, state: AssetState) -> Asset:
    picture = Asset(
        tenant_id=tables.tenant_id,
        generation_id=generation_id,
        step=Step.avatar if generation_id else Step.input,
        key=f"review/{uuid7()}.png",
        content_type="image/png",
        size_bytes=1,
        sha256="0" * 64,
        width=1,
        height=1,
    )
    async with tables.database.transaction() as session:
        await assets.announce(session, picture)
        if state is AssetState.stored:
            await assets.mark(session, picture.id, state)
    return picture


async def state_of(tables: Tables, picture: Asset) -> AssetState:
    async with tables.database.transaction() as session:
        return (await session.get_one(Asset, picture.id)).state


class Overtaken(Keeper):
    """Somebody acts in the moment before a picture is removed."""

    def __init__(self, tables: Tables, first: Callable[[AsyncSession], Awaitable[Any]]) -> None:
        super().__init__(tables.database, MemoryStorage(), {}, KeepingRules())
        self._first = first

    async def remove(self, *given: Any, **named: Any) -> bool:
        async with self._database.transaction() as session:
            await self._first(session)
        return await super().remove(*given, **named)


async def test_an_old_picture_that_a_client_asks_to_start_from_is_not_removed(tables: Tables) -> None:
    owner = await a_generation(tables)
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=owner.id, outcome="failed"))
    picture = await a_picture(tables, owner.id, AssetState.stored)
    scene = Generation(
        tenant_id=tables.tenant_id,
        kind=Kind.scene,
        request={"avatar_asset_id": str(picture.id)},
        request_hash="",
        quote_max_usd=Decimal(1),
    )
    keeper = Overtaken(tables, lambda session: generations.accept(session, scene))
    check = Retention(tables.database, keeper, RetentionRules(pictures=timedelta(0)))
    await check.mend(Stray.of_asset(RETENTION, picture, reason="expired"))

    assert await state_of(tables, picture) is AssetState.stored


async def test_a_clients_picture_whose_request_is_accepted_at_last_is_not_removed(tables: Tables) -> None:
    generation, picture = await a_generation(tables), await a_picture(tables, None, AssetState.pending)
    keeper = Overtaken(tables, lambda session: input_assets.attach(session, picture.id, generation.id))
    check = UnfinishedAssets(tables.database, keeper, ReconcilingRules(grace=timedelta(0)))
    await check.mend(Stray.of_asset(UNFINISHED, picture, state=picture.state))

    assert await state_of(tables, picture) is AssetState.stored


async def test_a_job_that_is_adopted_after_it_was_found_astray_is_not_stopped(tables: Tables) -> None:
    desk = ReviewDesk(tables, "adopted-meanwhile")
    ended, other = await desk.in_review(UNKNOWABLE), await desk.in_review(UNKNOWABLE)
    async with tables.database.transaction() as session:
        await ledger.settle(session, ended, cost_usd=Decimal("0.05"))
    running = JobReport(job_id="job-that-runs", state="running")
    desk.provider.listed = [ListedJob(ended.token, now(), running)]
    check = StrayJobs(tables.database, desk.inquiry, ReconcilingRules())
    (stray,) = (await check.find("")).strays
    async with tables.database.transaction() as session:
        await ledger.adopt(session, other, job_id=running.job_id)
        await lives.reopen(session, other.generation_id, "operator_decided")
    await check.mend(stray)

    assert desk.provider.canceled == []
