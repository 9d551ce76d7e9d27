"""`generation.open` and `generation.close`: local activities of one short transaction each."""

from datetime import UTC, datetime
from decimal import Decimal

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import told_to_temporal
from activities.observation import named
from activities.ordering import parse_request
from contracts.names import ACTIVITY_BEGUN, ACTIVITY_CLOSE, ACTIVITY_OPEN
from contracts.pictures import AssetRef, Begun, Closing, GenerationInput, Opened, StepPlan
from contracts.requests import SceneRequest, planned_pictures
from contracts.statuses import Step
from db import assets, lives
from db.engine import Database
from db.models import Generation
from errors import ObjectMissing
from providers.catalog import Catalog

log = structlog.get_logger(__name__)


class GenerationActivities:
    """Opens and closes generations; holds dependencies only."""

    def __init__(
        self,
        *,
        database: Database,
        catalog: Catalog,
        configured: frozenset[str],
        review_above_usd: Decimal,
        heartbeat_s: int,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._configured = configured
        self._review_above_usd = review_above_usd
        self._heartbeat_s = heartbeat_s

    @activity.defn(name=ACTIVITY_OPEN)
    async def open(self, given: GenerationInput) -> Opened:
        """queued -> running, with a plan: the steps, and for each the candidates in order of preference."""
        with named(given.generation_id), told_to_temporal():
            async with self._database.transaction("generation.open") as session:
                generation = await lives.read(session, given.generation_id)
                if generation.status.is_final or generation.run != given.run:
                    return Opened(steps=(), ended=True)
                begun = await lives.begun(session, generation.id) if generation.run > 1 else ()
                if lives.is_unwanted(generation):
                    return Opened(steps=(), begun=begun, canceled=True)
                reference = await self._reference(session, generation)
                plan = self._plan(generation, reference, begun)
                await lives.open_(session, generation)
        return plan

    @activity.defn(name=ACTIVITY_BEGUN)
    async def begun(self, given: GenerationInput) -> Begun:
        """What there may be to take back of a run that was ended from outside."""
        with named(given.generation_id), told_to_temporal():
            async with self._database.transaction() as session:
                generation = await lives.read(session, given.generation_id)
                steps = await lives.begun(session, generation.id)
        ended = generation.status.is_final or generation.run != given.run
        return Begun(steps=steps, canceled=lives.is_unwanted(generation), ended=ended)

    @activity.defn(name=ACTIVITY_CLOSE)
    async def close(self, closing: Closing) -> None:
        """Write the end: status, cost, result, last event."""
        with named(closing.generation_id), told_to_temporal():
            async with self._database.transaction("generation.close") as session:
                row = await lives.close(session, closing)
            log.info("generation.closed", status=row.status, kind=row.kind, cost_usd=str(row.cost_usd))

    def _plan(self, generation: Generation, reference: AssetRef | None, begun: tuple[Step, ...]) -> Opened:
        request = parse_request(generation.request)
        steps = tuple(
            StepPlan(
                step=planned.step,
                deadline_s=request.deadline_s,
                candidates=self._catalog.candidates(
                    step=planned.step,
                    size=planned.size,
                    quality=request.quality,
                    references=planned.references,
                    provider=request.provider,
                    model=request.model,
                    force=request.force_model,
                    configured=self._configured,
                    today=datetime.now(UTC).date(),
                    review_above_usd=self._review_above_usd,
                ),
            )
            for planned in planned_pictures(request)
        )
        return Opened(steps=steps, reference=reference, begun=begun, heartbeat_s=self._heartbeat_s)

    async def _reference(self, session: AsyncSession, generation: Generation) -> AssetRef | None:
        request = parse_request(generation.request)
        if not isinstance(request, SceneRequest):
            return None
        asset_id = generation.input_asset_id or request.avatar_asset_id
        asset = await assets.stored(session, generation.tenant_id, asset_id) if asset_id else None
        if asset is None:
            raise ObjectMissing("the picture that the scene starts from was deleted")
        return assets.reference(asset)
