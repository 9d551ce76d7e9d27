"""`generation.open` and `generation.close`: local activities of one short transaction each."""

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import told_to_temporal
from activities.observation import named
from activities.ordering import parse_request
from activities.planning import Planner
from contracts.given_pictures import given_pictures
from contracts.names import ACTIVITY_BEGUN, ACTIVITY_CLOSE, ACTIVITY_OPEN
from contracts.pictures import AssetRef, Begun, Closing, GenerationInput, Opened, StepPlan
from contracts.requests import ImageRequest, SceneRequest, planned_pictures
from contracts.standing import Standings
from contracts.statuses import Step
from db import assets, lives
from db.engine import Database
from db.models import Generation
from errors import ObjectMissing

log = structlog.get_logger(__name__)


class GenerationActivities:
    """Opens and closes generations; holds dependencies only."""

    def __init__(
        self,
        *,
        database: Database,
        planner: Planner,
        heartbeat_s: int,
    ) -> None:
        self._database = database
        self._planner = planner
        self._heartbeat_s = heartbeat_s

    @activity.defn(name=ACTIVITY_OPEN)
    async def open(self, given: GenerationInput) -> Opened:
        """queued -> running, with a plan: the steps, and for each the candidates in order of preference."""
        with named(given.generation_id), told_to_temporal():
            standings = await self._planner.standings()
            async with self._database.transaction("generation.open") as session:
                generation = await lives.read(session, given.generation_id)
                if generation.status.is_final or generation.run != given.run:
                    return Opened(steps=(), ended=True)
                begun = await lives.begun(session, generation.id) if generation.run > 1 else ()
                if lives.is_unwanted(generation):
                    return Opened(steps=(), begun=begun, canceled=True)
                works_from = await self._works_from(session, generation)
                plan = self._plan(generation, works_from, begun, standings)
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

    def _plan(
        self, generation: Generation, works_from: tuple[AssetRef, ...], begun: tuple[Step, ...], standings: Standings
    ) -> Opened:
        request = parse_request(generation.request)
        pictures = planned_pictures(request)
        within = request.within(
            generation.quote_max_usd
        )  # a price that was promised stays, whatever prices changed since
        candidates = self._planner.plan(generation.id, within, pictures, standings)
        steps = tuple(
            StepPlan(step=planned.step, deadline_s=request.deadline_s, candidates=models)
            for planned, models in zip(pictures, candidates, strict=True)
        )
        several = isinstance(request, ImageRequest)
        return Opened(
            steps=steps,
            reference=None if several or not works_from else works_from[0],
            references=works_from if several else (),
            begun=begun,
            heartbeat_s=self._heartbeat_s,
        )

    async def _works_from(self, session: AsyncSession, generation: Generation) -> tuple[AssetRef, ...]:
        """The stored pictures that the request starts from, in its order. Raises ObjectMissing."""
        request = parse_request(generation.request)
        asset_ids = [picture.asset_id for picture in given_pictures(request)]
        if generation.input_asset_id is not None:
            asset_ids = [generation.input_asset_id]
        found = [await assets.stored(session, generation.tenant_id, asset_id) for asset_id in asset_ids]
        if None in found or (isinstance(request, SceneRequest) and not found):
            raise ObjectMissing("a picture that the generation starts from was deleted")
        return tuple(assets.reference(asset) for asset in found if asset is not None)
