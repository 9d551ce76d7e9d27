"""What a provider says about coming later holds for the whole fleet, for a while that is bounded, and until an operator resumes it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import col, update

from activities.prober import Prober
from activities.read_pauses import ReadPauses
from activities.standing_board import StandingBoard
from activities.waiting import Waiter, WaitingRules
from contracts.lanes import LaneAction
from contracts.names import CHANNEL_STANDING
from contracts.standing import BreakerState, LaneMode, Standing
from db import keys, lanes, standings, traffic
from db.columns import now
from db.lanes import Decision
from db.listener import Listener
from db.standing_models import Breaker, Lane
from db.traffic import LONGEST_BUSY, Fault
from errors import ModelGone, ProviderBusy
from providers.base import JobReport
from providers.catalog import Catalog
from tests.crash.looking import until
from tests.integration.conftest import Tables
from tests.integration.test_waiting import DONE, RUNNING, Slow, a_job


@pytest.fixture
def provider() -> str:
    """A provider of this test's own."""
    return f"test-{uuid4().hex[:8]}"


@pytest.fixture
async def operator(tables: Tables) -> str:
    key = keys.new_key()
    async with tables.database.transaction() as session:
        await keys.ensure_key(session, key, pepper="pepper", tenant_name=key, operator=True)
    return key.split("_")[1]


@pytest.fixture
async def listener(tables: Tables) -> AsyncIterator[Listener]:
    listener = Listener(tables.url, (CHANNEL_STANDING,))
    async with listener.listening():
        yield listener


async def standing(tables: Tables, provider: str, model: str = "") -> Standing:
    async with tables.database.statement() as session:
        return (await standings.read(session)).of(provider, model)


async def told_to_wait(tables: Tables, provider: str, seconds: float) -> None:
    async with tables.database.transaction() as session:
        await traffic.record_busy(session, provider, "m", now() + timedelta(seconds=seconds))
        await traffic.record_reads_busy(session, provider, now() + timedelta(seconds=seconds))


async def resume(tables: Tables, operator: str, provider: str, model: str = "") -> Lane:
    async with tables.database.transaction() as session:
        return await lanes.set_mode(session, Decision(operator, provider, model, "try it"), LaneAction.resume)


async def test_one_answer_never_stops_a_whole_provider_for_an_hour(tables: Tables, provider: str) -> None:
    await told_to_wait(tables, provider, 3600)
    row = await standing(tables, provider)

    assert row.busy_until is not None
    assert row.reads_busy_until is not None
    assert max(row.busy_until, row.reads_busy_until) <= now() + LONGEST_BUSY


async def test_an_operator_who_resumes_a_provider_takes_back_its_wait_and_that_is_logged_once(
    tables: Tables, operator: str, provider: str
) -> None:
    await told_to_wait(tables, provider, 50)
    for _ in range(2):
        await resume(tables, operator, provider)
    row = await standing(tables, provider)
    async with tables.database.transaction() as session:
        (event,) = await lanes.events(session, provider=provider, before=None, limit=10)

    assert (row.busy_until, row.reads_busy_until) == (None, None)
    assert (event.type, sorted(event.data)) == ("lane.resumed", ["before", "mode", "was_busy_until"])


async def test_a_paused_provider_that_is_resumed_is_active_whether_it_was_busy_or_not(
    tables: Tables, operator: str, provider: str
) -> None:
    for seconds in (-1, 50):
        await told_to_wait(tables, provider, seconds)
        async with tables.database.transaction() as session:
            await lanes.set_mode(session, Decision(operator, provider, "", "an hour"), LaneAction.pause)
        paused = await standing(tables, provider)
        await resume(tables, operator, provider)
        row = await standing(tables, provider)

        assert (paused.mode, row.mode, row.busy_until) == (LaneMode.paused, LaneMode.active, None)


async def test_to_resume_one_model_says_nothing_about_its_providers_wait(
    tables: Tables, operator: str, provider: str
) -> None:
    await told_to_wait(tables, provider, 50)
    await resume(tables, operator, provider, "m")

    assert (await standing(tables, provider)).busy_until is not None


def waiter_of_another_process(tables: Tables, listener: Listener, provider: str, jobs: Slow) -> Waiter:
    pauses = ReadPauses(tables.database, StandingBoard(tables.database, listener))
    rules = WaitingRules(first_s=0.01, longest_s=0.01)
    return Waiter(tables.database, {provider: jobs}, rules, pauses=pauses)


async def test_a_poll_that_is_told_to_come_later_makes_all_processes_wait_with_theirs(
    tables: Tables, listener: Listener, operator: str, provider: str
) -> None:
    spend = await a_job(tables)
    spend.provider = provider

    async def waiting(jobs: Slow) -> JobReport:
        waiter = waiter_of_another_process(tables, listener, provider, jobs)
        return await waiter.finished(spend, asyncio.Event(), lambda done: done)

    async def is_told() -> bool:
        return (await standing(tables, provider)).reads_busy_until is not None

    first, second = Slow(ProviderBusy(retry_after_s=50), DONE), Slow(DONE)
    one = asyncio.create_task(waiting(first))
    await until(is_told, every_s=0.01)
    other = asyncio.create_task(waiting(second))
    await asyncio.wait({one, other}, timeout=0.5)
    polls = (first.polls, second.polls)
    bought_meanwhile = (await standing(tables, provider)).busy_until
    await resume(tables, operator, provider)

    assert [await one, await other] == [DONE, DONE]
    assert (polls, bought_meanwhile) == ((1, 0), None)


async def test_polls_go_on_when_the_providers_time_is_over(tables: Tables, listener: Listener, provider: str) -> None:
    jobs = Slow(RUNNING, ProviderBusy(retry_after_s=0.3), DONE)
    spend = await a_job(tables)
    spend.provider = provider
    waiter = waiter_of_another_process(tables, listener, provider, jobs)

    assert await waiter.finished(spend, asyncio.Event(), lambda done: done) == DONE


class Probed(Slow):
    """A provider whose models are well, and whose probe as a whole has a mistake of ours in it."""

    def __init__(self) -> None:
        super().__init__(DONE)
        self.probed: list[str | None] = []

    async def probe(self, model: str | None = None) -> None:
        self.probed.append(model)
        if model is None:
            raise ZeroDivisionError
        if model == "gone":
            raise ModelGone


async def break_(tables: Tables, provider: str, *models: str) -> None:
    """Their breakers are open, and their pauses over."""
    async with tables.database.transaction() as session:
        for model in models:
            await traffic.record_fault(session, Fault(provider, model, "provider_unreachable", at_once=True))
        mine = col(Breaker.provider) == provider
        await session.exec(update(Breaker).where(mine).values(retry_at=now() - timedelta(seconds=1)))


async def test_a_probe_with_a_mistake_in_it_does_not_lose_what_the_others_find(
    tables: Tables, listener: Listener, provider: str
) -> None:
    await break_(tables, provider, "", "m", "gone")
    prober = Prober(tables.database, StandingBoard(tables.database, listener), {provider: Probed()})
    with pytest.raises(ZeroDivisionError):
        await prober.probe_what_is_due()
    states = [(await standing(tables, provider, model)).breaker for model in ("", "m", "gone")]

    assert states == [BreakerState.open, BreakerState.half_open, BreakerState.open]


async def test_a_model_that_is_not_in_this_workers_catalog_is_left_to_those_that_know_it(
    tables: Tables, listener: Listener, provider: str
) -> None:
    catalog = Catalog.load()
    known = catalog.models[0].model_copy(update={"provider": provider, "model": "m"})
    maker = catalog.provider(catalog.models[0].provider).model_copy(update={"name": provider})
    await break_(tables, provider, "m", "newer")
    probed = Probed()
    board = StandingBoard(tables.database, listener)
    await Prober(tables.database, board, {provider: probed}, catalog=Catalog((maker,), (known,))).probe_what_is_due()
    left = list(probed.probed)
    await Prober(tables.database, board, {provider: probed}).probe_what_is_due()

    assert (left, probed.probed) == (["m"], ["m", "newer"])
