"""Going on after a failure, over real tables: who is asked next, and what the generation tells of it."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import delete
from temporalio.testing import ActivityEnvironment

from activities.planning import Planner
from activities.replanning import FailoverMetrics, ReplanActivities
from activities.standing_board import StandingBoard
from contracts.pictures import Candidate, Failure
from contracts.replanning import Replanned, ReplanOrder
from contracts.requests import AvatarRequest, planned_pictures
from contracts.standing import LaneMode, Standing, Standings
from contracts.statuses import Step
from contracts.wishes import Adjustment
from db import events, ledger, traffic
from db.listener import Listener
from db.models import Event
from db.standing_models import Breaker, Busy, Lane, TrafficMinute
from db.traffic import Fault
from errors import DioramaError, LanePaused, ModelFailed, ProviderUnreachable
from providers.catalog import Catalog
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order, claimed

REQUEST = {"kind": "avatar", "avatar": {"description": "a fox"}, "quality": "low"}
# Two models of one provider, and one of another, as they are in the catalog.
ENTRIES = Catalog.load().models
AT_REPLICATE = [entry for entry in ENTRIES if entry.provider == "replicate"][:2]
AT_OPENAI = next(entry for entry in ENTRIES if entry.provider == "openai")
UNLIKE = Adjustment(parameter="seed", wanted="7", why="It does not know it.")


def candidate(entry: Any, *adjustments: Adjustment) -> Candidate:
    facts = {"provider": entry.provider, "model": entry.model, "max_usd": "0.05", "unknown_policy": "resubmit"}
    return Candidate.model_validate(facts | {"adjustments": adjustments})


FIRST, SIBLING, OTHER = candidate(AT_REPLICATE[0]), candidate(AT_REPLICATE[1]), candidate(AT_OPENAI, UNLIKE)


class Desk:
    """The activity over real tables."""

    def __init__(self, tables: Tables, generation_id: UUID) -> None:
        self.tables = tables
        self.generation_id = generation_id
        board = StandingBoard(tables.database, Listener(tables.url, ()))
        self.planner = Planner(
            Catalog.load(), configured=frozenset({"replicate", "openai"}), review_above_usd=Decimal(1), board=board
        )
        self.registry = CollectorRegistry()
        self.activities = ReplanActivities(
            database=tables.database, planner=self.planner, metrics=FailoverMetrics(self.registry)
        )

    async def replan(
        self, *rest: Candidate, error: type[DioramaError] = ProviderUnreachable, purchases: int = 1
    ) -> list[str]:
        order = ReplanOrder(
            generation_id=self.generation_id,
            step=Step.avatar,
            tried=(FIRST,),
            rest=rest,
            failure=Failure(code=error.code, detail=""),
            purchases=purchases,
        )
        answer: Replanned = await ActivityEnvironment().run(self.activities.replan, order)
        return [one.model for one in answer.candidates]

    async def told(self) -> list[Event]:
        async with self.tables.database.transaction() as session:
            return [one for one in await events.after(session, self.generation_id, 0) if "failover" in one.type]


@pytest.fixture
async def desk(tables: Tables) -> Desk:
    async with tables.database.transaction() as session:  # what other tests left at the real names
        for table in (Breaker, TrafficMinute, Lane, Busy):
            await session.exec(delete(table))
    generation = await a_generation(tables, request=REQUEST)
    return Desk(tables, generation.id)


async def test_a_failure_of_the_provider_puts_its_other_models_behind_other_providers(desk: Desk) -> None:
    assert await desk.replan(SIBLING, candidate(AT_OPENAI)) == [AT_OPENAI.model, SIBLING.model]


async def test_a_failure_of_the_model_leaves_the_order_as_it_was(desk: Desk) -> None:
    assert await desk.replan(SIBLING, candidate(AT_OPENAI), error=ModelFailed) == [SIBLING.model, AT_OPENAI.model]


async def test_who_broke_since_the_plan_was_made_is_asked_last(desk: Desk) -> None:
    async with desk.tables.database.transaction() as session:
        await traffic.record_fault(session, Fault("replicate", SIBLING.model, "model_gone", at_once=True))

    assert await desk.replan(SIBLING, candidate(AT_OPENAI), error=ModelFailed) == [AT_OPENAI.model, SIBLING.model]


async def test_who_failed_in_an_earlier_run_is_not_asked_again(desk: Desk) -> None:
    order = an_order(await a_generation(desk.tables, request=REQUEST))
    order = order.model_copy(update={"candidate": SIBLING})
    spend = await claimed(desk.tables, order)
    async with desk.tables.database.transaction() as session:
        await ledger.release(session, spend, error_code="model_failed")
    desk.generation_id = order.generation_id

    assert await desk.replan(SIBLING, OTHER) == [OTHER.model]


@pytest.mark.parametrize("error_code", ["purchase_replaced", "purchase_never_made"])
async def test_who_is_to_make_it_once_more_by_a_decision_stays_among_those_who_are_asked(
    desk: Desk, error_code: str
) -> None:
    order = an_order(await a_generation(desk.tables, request=REQUEST))
    order = order.model_copy(update={"candidate": SIBLING})
    spend = await claimed(desk.tables, order)
    async with desk.tables.database.transaction() as session:
        await ledger.release(session, spend, error_code=error_code)
    desk.generation_id = order.generation_id

    assert SIBLING.model in await desk.replan(SIBLING, OTHER)


async def test_who_left_the_catalog_since_the_plan_was_made_is_not_asked(desk: Desk) -> None:
    gone = SIBLING.model_copy(update={"model": "no/more"})

    assert await desk.replan(gone, OTHER) == [OTHER.model]
    assert await desk.replan(gone, purchases=2) == []
    assert [event.data["to"]["model"] for event in await desk.told()] == [OTHER.model]


async def test_the_generation_tells_from_whom_to_whom_and_why_and_what_changes(desk: Desk) -> None:
    await desk.replan(OTHER)
    (event,) = await desk.told()

    assert event.type == "picture.failover"
    assert event.data.pop("message")  # in words, for people
    assert event.data == {
        "step": "avatar",
        "purchases": 1,
        "from": {"provider": FIRST.provider, "model": FIRST.model},
        "to": {"provider": OTHER.provider, "model": OTHER.model},
        "why": "provider_unreachable",
        "adjustments": [UNLIKE.model_dump()],
    }


async def test_an_activity_that_is_run_once_more_tells_and_counts_nothing_new(desk: Desk) -> None:
    for _ in range(2):
        await desk.replan(OTHER)
    await desk.replan(OTHER, purchases=2)
    labels = {"provider": FIRST.provider, "model": FIRST.model, "to_provider": OTHER.provider}
    counted = desk.registry.get_sample_value("diorama_failovers_total", labels | {"code": ProviderUnreachable.code})

    assert len(await desk.told()) == 2
    assert counted == 2


async def test_when_nobody_is_left_nothing_is_told(desk: Desk) -> None:
    assert await desk.replan() == []
    assert await desk.told() == []


def test_a_plan_without_anybody_who_may_be_planned_for_is_refused() -> None:
    planner = Planner(Catalog.load(), configured=frozenset({"replicate"}), review_above_usd=Decimal(1))
    draining = Standings(rows=(Standing(provider="replicate", mode=LaneMode.draining),))
    request = AvatarRequest.model_validate(REQUEST)

    with pytest.raises(LanePaused):
        planner.plan(uuid4(), request, planned_pictures(request), draining)


def test_a_plan_follows_the_strategy_of_the_request() -> None:
    planner = Planner(Catalog.load(), configured=frozenset({"replicate", "openai"}), review_above_usd=Decimal(1))
    request = AvatarRequest.model_validate(REQUEST | {"strategy": "cheapest"})
    (candidates,) = planner.plan(uuid4(), request, planned_pictures(request), Standings())
    meets_all = [one for one in candidates if not one.adjustments]

    assert candidates[0].likely_usd == min(one.likely_usd or one.max_usd for one in meets_all)
