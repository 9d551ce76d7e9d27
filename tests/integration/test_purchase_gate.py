"""The gate before a purchase, and what is told of purchases, over real tables and a provider that plays a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Protocol
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from activities.buying import Buyer
from activities.buying_rules import BuyingRules
from activities.cancellation import Wish
from activities.failures import PurchaseEnded
from activities.keeping import Keeper, KeepingRules
from activities.prober import Prober
from activities.purchase_gate import PurchaseGate
from activities.standing_board import StandingBoard
from activities.waiting import Waiter, WaitingRules
from activities.witness import Witness
from contracts.names import CHANNEL_STANDING
from contracts.pictures import PictureOrder
from contracts.standing import BreakerState, LaneMode, Standing
from contracts.statuses import SpendState
from db import breakers, ledger, standings, traffic
from db.breaker_rule import RULES
from db.columns import now
from db.listener import Listener
from db.models import Spend
from db.standing_models import Breaker, Lane
from db.traffic import Fault
from errors import (
    CircuitOpen,
    DeadlineExceeded,
    LanePaused,
    ModelFailed,
    OutcomeUnknown,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderRejectedInput,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import JobReport, LostJob
from storage.memory import MemoryStorage
from tests.crash.looking import until
from tests.integration.conftest import Tables
from tests.integration.test_buying import ABSENT, FAST, JOB, SHORT_WINDOW, Scripted, a_purchase, ended_by
from tests.integration.test_lanes import shift
from tests.integration.test_ledger import a_generation, an_order, claimed

PICTURE = JobReport(job_id="job-1", state="succeeded")


class Probed(Scripted):
    """A scripted provider that can be probed, too, and polled."""

    def __init__(
        self,
        submits: list[Any],
        probes: list[Any] | None = None,
        polls: list[Any] | None = None,
        look_up: LostJob = ABSENT,
    ) -> None:
        super().__init__(submits, [look_up])
        self.probes = probes or []
        self.polls = polls or []
        self.probed: list[str | None] = []

    async def probe(self, model: str | None = None) -> None:
        self.probed.append(model)
        answer = self.probes.pop(0)
        if isinstance(answer, Exception):
            raise answer

    async def poll(self, job_id: str) -> JobReport:
        answer = self.polls.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, JobReport)
        return answer


class Counter:
    """A shop whose provider, of this test's own, stands as the tables say."""

    def __init__(self, tables: Tables, listener: Listener, provider: Probed, rules: BuyingRules = FAST) -> None:
        self.tables = tables
        self.provider = provider
        self.name = provider.name = f"test-{uuid4().hex[:8]}"
        providers = {self.name: provider}
        keeper = Keeper(tables.database, MemoryStorage(), providers, KeepingRules())
        self.board = StandingBoard(tables.database, listener)
        self.witness = Witness(tables.database, self.board)
        self.gate = PurchaseGate(tables.database, self.board)
        self.buyer = Buyer(tables.database, providers, keeper, rules, gate=self.gate, witness=self.witness)
        patience = WaitingRules(first_s=0.01, longest_s=0.01)
        self.waiter = Waiter(tables.database, providers, patience, witness=self.witness)
        self.prober = Prober(tables.database, self.board, providers)

    async def order(self, *, deadline_s: int = 60) -> PictureOrder:
        order = an_order(await a_generation(self.tables))
        candidate = order.candidate.model_copy(update={"provider": self.name})
        return order.model_copy(update={"candidate": candidate, "deadline_s": deadline_s})

    async def buy(self, *, alternatives: int = 0, deadline_s: int = 60) -> Spend:
        spend = await claimed(self.tables, await self.order(deadline_s=deadline_s))
        async with self.witness.watching(spend):
            return await self.buyer.submitted(spend, a_purchase(spend), Wish(), alternatives=alternatives)

    async def finish(self) -> None:
        spend = await claimed(self.tables, await self.order())
        async with self.witness.watching(spend):
            self.witness.sent(spend)
            self.witness.finished(spend)
        await self.witness.write()

    async def standing(self, model: str = "") -> Standing:
        async with self.tables.database.statement() as session:
            return (await standings.read(session)).of(self.name, model)

    async def is_busy(self) -> bool:
        return (await self.standing()).busy_until is not None

    async def has_samples(self) -> bool:
        await self.witness.write()
        return (await self.standing("m")).traffic.samples > 0

    async def board_says(self, **facts: Any) -> bool:
        known = (await self.board.standings()).of(self.name)
        return all(getattr(known, name) == fact for name, fact in facts.items())

    async def put(self, mode: LaneMode, **fields: Any) -> None:
        async with self.tables.database.transaction() as session:
            lane = await session.get(Lane, (self.name, fields.get("model", ""))) or Lane(provider=self.name, **fields)
            lane.mode = mode
            session.add(lane)

    async def break_(self, *, at_once: bool = True, model: str = "") -> None:
        async with self.tables.database.transaction() as session:
            await traffic.record_fault(session, Fault(self.name, model, "provider_unreachable", at_once=at_once))

    async def half_open(self) -> None:
        await self.break_()
        async with self.tables.database.transaction() as session:
            await breakers.record_probe(session, (self.name, ""), well=True)

    async def is_due(self) -> None:
        async with self.tables.database.transaction() as session:
            mine = col(Breaker.provider) == self.name
            await session.exec(update(Breaker).where(mine).values(retry_at=now() - timedelta(seconds=1)))

    async def last_spend(self) -> Spend:
        async with self.tables.database.transaction() as session:
            query = select(Spend).where(Spend.provider == self.name).order_by(col(Spend.id).desc())
            return (await session.exec(query.limit(1))).one()


class OpenShop(Protocol):
    async def __call__(self, provider: Probed, rules: BuyingRules = FAST) -> Counter: ...


@pytest.fixture
async def open_shop(tables: Tables) -> AsyncIterator[OpenShop]:
    listener = Listener(tables.url, (CHANNEL_STANDING,))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listener.listening())

        async def opened(provider: Probed, rules: BuyingRules = FAST) -> Counter:
            shop = Counter(tables, listener, provider, rules)
            await stack.enter_async_context(shop.board.noticing())
            return shop

        yield opened


def jobs(count: int) -> list[JobReport]:
    return [JobReport(job_id=f"job-{number}", state="waiting") for number in range(1, count + 1)]


async def test_a_purchase_passes_when_all_is_well(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([JOB]))

    assert (await shop.buy(alternatives=1)).state is SpendState.submitted


@pytest.mark.parametrize("model", ["", "m"])
async def test_where_there_is_an_alternative_a_paused_lane_is_left_at_once_and_nothing_is_sent(
    open_shop: OpenShop, model: str
) -> None:
    shop = await open_shop(Probed([]))
    await shop.put(LaneMode.paused, model=model)

    with ended_by(LanePaused):
        await shop.buy(alternatives=1)
    spend = await shop.last_spend()
    assert (spend.state, spend.error_code, spend.sends) == (SpendState.released, "lane_paused", 0)


@pytest.mark.parametrize("model", ["", "m"])
async def test_where_there_is_an_alternative_an_open_breaker_is_left_at_once(open_shop: OpenShop, model: str) -> None:
    shop = await open_shop(Probed([]))
    await shop.break_(model=model)

    with ended_by(CircuitOpen):
        await shop.buy(alternatives=1)
    assert (await shop.last_spend()).state is SpendState.released


async def test_without_an_alternative_a_paused_lane_is_waited_for(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([JOB]))
    await shop.put(LaneMode.paused)
    buying = asyncio.create_task(shop.buy())
    await asyncio.wait({buying}, timeout=1.5)
    nothing_sent = shop.provider.sent == []
    await shop.put(LaneMode.active)

    assert nothing_sent
    assert (await buying).state is SpendState.submitted


async def test_waiting_for_a_paused_lane_ends_at_the_deadline(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    await shop.put(LaneMode.paused)

    with ended_by(LanePaused):
        await shop.buy(deadline_s=6)


async def test_a_draining_lane_still_makes_what_was_planned_for_it(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([JOB]))
    await shop.put(LaneMode.draining)

    assert (await shop.buy(alternatives=1)).state is SpendState.submitted


async def test_what_was_sent_already_is_looked_up_although_the_lane_is_paused(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([], look_up=LostJob(report=JOB, conclusive=True)))
    order = await shop.order()
    spend = await claimed(shop.tables, order)
    async with shop.tables.database.transaction() as session:
        await ledger.mark_sent(session, spend, window_s=30)
    await shop.put(LaneMode.paused)
    again = await claimed(shop.tables, order)
    bought = await shop.buyer.submitted(again, a_purchase(again), Wish(), alternatives=1)

    assert (bought.state, bought.provider_job_id) == (SpendState.submitted, "job-1")


async def test_what_makes_our_account_wait_does_not_make_a_tenants_own_account_wait(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    spend = await claimed(shop.tables, await shop.order())
    async with shop.tables.database.transaction() as session:
        await traffic.record_busy(session, shop.name, "m", now() + timedelta(minutes=1))
    shop.board.outdate()
    with pytest.raises(ProviderBusy):
        async with shop.gate.passed(spend, alternatives=1):
            raise AssertionError
    spend.own_key = True

    async with shop.gate.passed(spend, alternatives=1):
        assert await shop.is_busy()


async def test_all_wait_when_the_provider_told_one_to_wait_and_no_attempt_is_made(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([ProviderBusy(retry_after_s=5), *jobs(2)]))
    first = asyncio.create_task(shop.buy())
    await until(shop.is_busy, every_s=0.02)
    second = asyncio.create_task(shop.buy())
    await asyncio.wait({second}, timeout=0.5)
    sent_meanwhile = len(shop.provider.sent)
    bought = await asyncio.gather(first, second)

    assert sent_meanwhile == 1
    assert [spend.sends for spend in bought] == [1, 1]


async def test_a_wait_beyond_the_deadline_is_not_waited(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    async with shop.tables.database.transaction() as session:
        await traffic.record_busy(session, shop.name, "m", now() + timedelta(seconds=90))

    with ended_by(ProviderBusy):
        await shop.buy(deadline_s=30)


async def test_only_a_few_purchases_try_a_provider_that_comes_back(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed(jobs(10)))
    await shop.half_open()
    tries = await asyncio.gather(*(shop.buy(alternatives=1) for _ in range(10)), return_exceptions=True)
    refused = [one for one in tries if isinstance(one, PurchaseEnded)]

    assert len(shop.provider.sent) == RULES.trials
    assert {type(one.failure) for one in refused} == {CircuitOpen}
    assert len(refused) == 10 - RULES.trials


async def test_a_models_own_limit_spreads_its_purchases(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed(jobs(2)))
    await shop.put(LaneMode.active, model="m", creates_per_minute=1)
    await shop.buy()
    second = asyncio.create_task(shop.buy())
    await asyncio.wait({second}, timeout=0.3)
    sent = len(shop.provider.sent)
    await shift(shop.tables, shop.name, 60)

    assert (sent, (await second).state) == (1, SpendState.submitted)


@pytest.mark.parametrize(
    ("failure", "model"),
    [
        (ProviderUnavailable(), ""),
        (ProviderCredentials(), ""),
        (ModelFailed(), "m"),
    ],
)
async def test_a_refusal_that_tells_of_bad_health_is_counted_where_its_cause_is(
    open_shop: OpenShop, failure: ProviderError, model: str
) -> None:
    shop = await open_shop(Probed([failure]))
    with ended_by(type(failure)):
        await shop.buy()

    assert (await shop.standing(model)).traffic.failures == 1
    assert (await shop.standing("" if model else "m")).traffic.failures == 0


@pytest.mark.parametrize("failure", [PolicyRefused(), ProviderRejectedInput()])
async def test_a_refused_prompt_or_input_says_nothing_about_health(open_shop: OpenShop, failure: ProviderError) -> None:
    shop = await open_shop(Probed([failure]))
    with ended_by(type(failure)):
        await shop.buy()

    assert [(await shop.standing(model)).traffic.failures for model in ("", "m")] == [0, 0]


async def test_a_refused_prompt_gives_its_trial_to_the_next_purchase(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([PolicyRefused()] * 6))
    await shop.half_open()
    for _ in range(2 * RULES.trials):
        with ended_by(PolicyRefused):
            await shop.buy(alternatives=1)

    assert len(shop.provider.sent) == 2 * RULES.trials


async def test_each_call_that_finds_nobody_is_counted_and_the_fifth_opens_the_breaker(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([ProviderUnreachable()] * 9))
    ends = [await asyncio.gather(shop.buy(alternatives=1), return_exceptions=True) for _ in range(3)]

    assert [type(end[0]) for end in ends] == [PurchaseEnded] * 3
    assert (await shop.standing()).breaker is BreakerState.open
    assert len(shop.provider.sent) == 5


async def test_a_lost_answer_is_counted(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([OutcomeUnknown(), JOB]), SHORT_WINDOW)
    await shop.buy()

    assert (await shop.standing()).traffic.failures == 1


async def test_finished_pictures_are_counted_with_their_time(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    await shop.finish()
    row = (await shop.standing("m")).traffic

    assert (row.successes, row.samples) == (1, 1)


async def test_a_picture_that_another_attempt_bought_says_nothing_about_time(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    spend = await claimed(shop.tables, await shop.order())
    async with shop.witness.watching(spend):
        shop.witness.finished(spend)
    await shop.witness.write()
    row = (await shop.standing("m")).traffic

    assert (row.successes, row.samples) == (1, 0)


async def test_a_deadline_that_another_attempt_missed_is_no_evidence(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    spend = await claimed(shop.tables, await shop.order())
    with ended_by(DeadlineExceeded):
        async with shop.witness.watching(spend):
            raise PurchaseEnded(DeadlineExceeded())

    assert (await shop.standing("m")).traffic.failures == 0


async def test_a_purchase_under_way_that_is_far_too_slow_is_evidence_before_it_ends(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    spend = await claimed(shop.tables, await shop.order())
    async with shop.witness.watching(spend, typical_s=0.01):
        shop.witness.sent(spend)
        await until(shop.has_samples, every_s=0.02)
    row = (await shop.standing("m")).traffic

    assert (row.successes, row.samples) == (0, 1)


async def test_a_job_that_cannot_be_asked_for_several_times_in_a_row_is_evidence_once(open_shop: OpenShop) -> None:
    silent = [ProviderUnavailable()] * 6
    shop = await open_shop(Probed([JOB], polls=[*silent[:2], JOB, *silent, PICTURE]))
    spend = await shop.buy()
    await shop.waiter.finished(spend, asyncio.Event(), lambda done: done)

    assert (await shop.standing()).traffic.failures == 1


async def test_a_prober_asks_for_free_when_the_pause_is_over_and_opens_the_way(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([], probes=[ProviderUnavailable(), None]))
    await shop.break_()
    await shop.prober.probe_what_is_due()
    too_early = list(shop.provider.probed)
    states = []
    for _ in range(2):
        await shop.is_due()
        await shop.prober.probe_what_is_due()
        states.append((await shop.standing()).breaker)

    assert too_early == []
    assert states == [BreakerState.open, BreakerState.half_open]
    assert shop.provider.probed == [None, None]
    assert shop.provider.sent == []


async def test_a_model_is_probed_by_its_name(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([], probes=[None]))
    await shop.break_(model="m")
    await shop.is_due()
    await shop.prober.probe_what_is_due()

    assert shop.provider.probed == ["m"]


async def test_a_provider_that_recovers_is_used_again_after_two_pictures(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([JOB]))
    await shop.half_open()
    await shop.finish()
    await shop.finish()

    assert (await shop.standing()).breaker is BreakerState.closed
    assert (await shop.buy(alternatives=1)).state is SpendState.submitted


async def test_a_board_notices_a_change_at_once_and_a_missed_one_within_a_second(open_shop: OpenShop) -> None:
    shop = await open_shop(Probed([]))
    await shop.board.standings()
    await shop.put(LaneMode.paused)  # without a notification
    await until(lambda: shop.board_says(mode=LaneMode.paused), every_s=0.05)
    await shop.break_()
    await until(lambda: shop.board_says(breaker=BreakerState.open), every_s=0.005)
