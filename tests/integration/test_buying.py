"""Buying against a real ledger, with a provider that answers as each test needs it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select, update
from temporalio.exceptions import ApplicationError

from activities.buying import Buyer
from activities.buying_rules import BuyingRules
from activities.cancellation import Wish
from activities.failures import PurchaseEnded, told_to_temporal
from activities.keeping import Keeper, KeepingRules
from contracts.pictures import PictureOrder
from contracts.statuses import Billed, SpendState
from db import ledger
from db.columns import now
from db.models import Spend
from errors import (
    DeadlineExceeded,
    LeaseLost,
    OutcomeUnknown,
    PolicyRefused,
    ProviderBusy,
    ProviderError,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import FinishedPicture, JobReport, ListedJob, LostJob, Purchase, RemoteFile
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order, claimed

ABSENT = LostJob(report=None, conclusive=True)
UNKNOWABLE = LostJob(report=None, conclusive=False)
JOB = JobReport(job_id="job-1", state="waiting")
FAST = BuyingRules(start_within_s=30, list_lag_s=0, look_up_every_s=0.01, shortest_pause_s=0.01, longest_pause_s=0.05)
# For purchases that are provably absent: the time in which the first POST could still arrive is waited out.
SHORT_WINDOW = replace(FAST, start_within_s=3)


class Scripted:
    """A provider that plays a script: each submit and each look-up takes the next answer; an error is raised."""

    name = "replicate"
    submit_timeout_s = 0.05

    def __init__(self, submits: list[Any], look_ups: list[Any] | None = None, *, synchronous: bool = False) -> None:
        self.synchronous = synchronous
        self._submits = submits
        self._look_ups = look_ups or []
        self.sent: list[Purchase] = []
        self.sent_at: list[float] = []  # by the monotonic clock
        self.looked_up = 0
        self.before_answer: Callable[[], None] = lambda: None

    async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
        self.sent.append(purchase)
        self.sent_at.append(time.monotonic())
        await asyncio.sleep(0)
        self.before_answer()
        answer: JobReport | FinishedPicture = _play(self._submits.pop(0))
        return answer

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        self.looked_up += 1
        assert token
        assert sent_at.tzinfo
        answer: LostJob = _play(self._look_ups.pop(0) if len(self._look_ups) > 1 else self._look_ups[0])
        return answer

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        raise AssertionError(since)
        yield

    async def poll(self, job_id: str) -> JobReport:
        raise AssertionError(job_id)

    async def cancel(self, job_id: str) -> JobReport:
        raise AssertionError(job_id)

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        raise AssertionError(output, max_bytes)

    async def probe(self, model: str | None = None) -> None:
        raise AssertionError(model)

    async def close(self) -> None:
        pass


def _play(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def ended_by(error: type[ProviderError]) -> Iterator[None]:
    with pytest.raises(PurchaseEnded) as caught:
        yield
    assert type(caught.value.failure) is error


def a_purchase(spend: Spend) -> Purchase:
    return Purchase(
        token=spend.token,
        model=spend.model,
        prompt=spend.prompt,
        quality="low",
        size=None,
        shape="square",
        references=(),
        deadline_s=60,
    )


class Shop:
    """A buyer over the real ledger and a scripted provider."""

    def __init__(self, tables: Tables, provider: Scripted, rules: BuyingRules = FAST) -> None:
        self.tables = tables
        self.provider = provider
        self.storage = MemoryStorage()
        self.wish = Wish()
        providers = {"replicate": provider}
        keeper = Keeper(tables.database, self.storage, providers, KeepingRules())
        self.buyer = Buyer(tables.database, providers, keeper, rules)

    async def order(self, **changes: Any) -> PictureOrder:
        return an_order(await a_generation(self.tables)).model_copy(update=changes)

    async def buy(self, order: PictureOrder, *, alternatives: int = 0) -> Spend:
        spend = await claimed(self.tables, order)
        return await self.buyer.submitted(spend, a_purchase(spend), self.wish, alternatives=alternatives)

    async def row(self, order: PictureOrder) -> Spend:
        return await claimed(self.tables, order)


async def test_a_purchase_is_written_down_with_the_providers_id(tables: Tables) -> None:
    shop = Shop(tables, Scripted([JOB]))
    spend = await shop.buy(await shop.order())

    assert (spend.state, spend.provider_job_id, spend.sends) == (SpendState.submitted, "job-1", 1)


async def test_the_intent_is_committed_before_the_provider_hears_of_it(tables: Tables) -> None:
    provider = Scripted([JOB])
    shop = Shop(tables, provider)
    order = await shop.order()
    seen: list[str] = []
    submit = provider.submit

    async def look_then_submit(purchase: Purchase) -> JobReport | FinishedPicture:
        async with tables.database.transaction() as session:
            query = select(Spend.state).where(Spend.token == purchase.token)
            seen.append((await session.exec(query)).one())
        return await submit(purchase)

    provider.submit = look_then_submit  # type: ignore[method-assign]
    await shop.buy(order)

    assert seen == [SpendState.sent]


async def test_a_lost_answer_is_looked_up_and_the_job_adopted(tables: Tables) -> None:
    provider = Scripted([OutcomeUnknown()], [ProviderUnavailable(), LostJob(report=JOB, conclusive=True)])
    shop = Shop(tables, provider)
    spend = await shop.buy(await shop.order())

    assert (spend.state, spend.provider_job_id) == (SpendState.submitted, "job-1")
    assert len(provider.sent) == 1


async def test_a_purchase_that_is_provably_absent_is_sent_again_under_the_same_token(tables: Tables) -> None:
    provider = Scripted([OutcomeUnknown(), JOB], [ABSENT])
    shop = Shop(tables, provider, SHORT_WINDOW)
    spend = await shop.buy(await shop.order())

    assert spend.sends == 2
    assert len({purchase.token for purchase in provider.sent}) == 1


async def test_absence_counts_only_after_the_first_post_can_no_longer_arrive(tables: Tables) -> None:
    provider = Scripted([OutcomeUnknown(), JOB], [ABSENT])
    shop = Shop(tables, provider, SHORT_WINDOW)
    await shop.buy(await shop.order())

    last_moment = provider.sent[0].first_byte_by
    assert last_moment is not None
    assert provider.sent_at[1] >= last_moment


async def test_an_attempt_that_died_after_sending_is_continued_by_looking_up(tables: Tables) -> None:
    provider = Scripted([], [LostJob(report=JOB, conclusive=True)])
    shop = Shop(tables, provider)
    order = await shop.order()
    async with tables.database.transaction() as session:
        await ledger.mark_sent(session, await _claim(shop, order), window_s=30)

    spend = await shop.buy(order)

    assert (spend.state, provider.sent) == (SpendState.submitted, [])


async def test_what_nobody_can_be_asked_about_is_unknown_and_never_sent_again(tables: Tables) -> None:
    provider = Scripted([OutcomeUnknown()], [UNKNOWABLE])
    shop = Shop(tables, provider)
    order = await shop.order()
    with pytest.raises(OutcomeUnknown):
        await shop.buy(order)

    spend = await shop.row(order)
    assert (spend.state, spend.billed, len(provider.sent)) == (SpendState.unknown, Billed.unknown, 1)


async def test_a_refusal_gives_the_hold_back(tables: Tables) -> None:
    shop = Shop(tables, Scripted([PolicyRefused()]))
    order = await shop.order()
    with ended_by(PolicyRefused):
        await shop.buy(order)

    spend = await shop.row(order)
    assert (spend.state, spend.cost_usd, spend.error_code) == (SpendState.released, Decimal(0), "policy_refused")


async def test_a_refusal_that_is_charged_for_is_settled(tables: Tables) -> None:
    shop = Shop(tables, Scripted([PolicyRefused(billed="yes")]))
    order = await shop.order()
    with ended_by(PolicyRefused):
        await shop.buy(order)

    spend = await shop.row(order)
    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, spend.hold_usd)


async def test_an_unreachable_provider_is_given_up_after_two_tries_when_another_could_make_the_picture(
    tables: Tables,
) -> None:
    shop = Shop(tables, Scripted([ProviderUnreachable()] * 5))
    order = await shop.order()
    with ended_by(ProviderUnreachable):
        await shop.buy(order, alternatives=1)

    spend = await shop.row(order)
    assert (spend.state, spend.error_code, len(shop.provider.sent)) == (SpendState.released, "provider_unreachable", 2)


async def test_the_only_provider_is_tried_until_it_is_back(tables: Tables) -> None:
    shop = Shop(tables, Scripted([ProviderUnreachable()] * 7 + [JOB]))
    spend = await shop.buy(await shop.order())

    assert (spend.state, spend.sends, len(shop.provider.sent)) == (SpendState.submitted, 1, 8)


async def test_the_only_provider_is_given_up_at_the_deadline(tables: Tables) -> None:
    provider = Scripted([ProviderUnreachable()] * 100)
    shop = Shop(tables, provider)
    order = await shop.order()
    submit = provider.submit

    async def submit_until_it_is_late(purchase: Purchase) -> JobReport | FinishedPicture:
        if len(provider.sent) == 5:
            async with tables.database.transaction() as session:
                await session.exec(update(Spend).where(col(Spend.token) == purchase.token).values(deadline_at=now()))
        return await submit(purchase)

    provider.submit = submit_until_it_is_late  # type: ignore[method-assign]
    with ended_by(ProviderUnreachable):
        await shop.buy(order)

    assert ((await shop.row(order)).state, len(provider.sent)) == (SpendState.released, 6)


async def test_a_purchase_whose_answers_are_always_lost_goes_out_three_times_at_most(tables: Tables) -> None:
    provider = Scripted([OutcomeUnknown()] * 4, [ABSENT])
    shop = Shop(tables, provider, SHORT_WINDOW)
    order = await shop.order()
    with ended_by(ProviderUnavailable):
        await shop.buy(order)

    assert (await shop.row(order)).state is SpendState.released
    assert len(provider.sent) == 3


async def test_a_busy_provider_is_no_failed_attempt(tables: Tables) -> None:
    shop = Shop(tables, Scripted([ProviderBusy(retry_after_s=0.01), ProviderBusy(retry_after_s=0.01), JOB]))
    spend = await shop.buy(await shop.order())

    assert spend.state is SpendState.submitted


async def test_a_provider_that_is_busy_beyond_the_deadline_is_given_up(tables: Tables) -> None:
    shop = Shop(tables, Scripted([ProviderBusy(retry_after_s=3600)]))
    order = await shop.order()
    with ended_by(ProviderBusy):
        await shop.buy(order)

    assert (await shop.row(order)).state is SpendState.released


async def test_nothing_is_bought_after_the_deadline(tables: Tables) -> None:
    shop = Shop(tables, Scripted([]))
    order = await shop.order(deadline_s=0)
    with ended_by(DeadlineExceeded):
        await shop.buy(order)

    assert (await shop.row(order)).state is SpendState.released


async def test_an_attempt_that_was_taken_over_writes_nothing_more(tables: Tables) -> None:
    provider = Scripted([JOB])
    shop = Shop(tables, provider)
    order = await shop.order()
    submit = provider.submit

    async def submit_while_taken_over(purchase: Purchase) -> JobReport | FinishedPicture:
        answer = await submit(purchase)
        async with tables.database.transaction() as session:
            await ledger.take_over(session, order.generation_id, order.step)
        return answer

    provider.submit = submit_while_taken_over  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        await shop.buy(order)

    assert (await shop.row(order)).state is SpendState.sent


async def test_a_cancel_during_the_purchase_waits_until_its_id_is_written_down(tables: Tables) -> None:
    provider = Scripted([JOB])
    shop = Shop(tables, provider)
    order = await shop.order()
    buying = asyncio.create_task(shop.buy(order))

    def cancel() -> None:
        buying.cancel()

    provider.before_answer = cancel
    with pytest.raises(asyncio.CancelledError):
        await buying

    assert (await shop.row(order)).provider_job_id == "job-1"


async def test_a_synchronous_answer_is_in_the_store_before_the_purchase_counts_as_made(tables: Tables) -> None:
    answer = FinishedPicture(body=b"\x89PNG only copy", content_type="image/png")
    shop = Shop(tables, Scripted([answer], synchronous=True))
    spend = await shop.buy(await shop.order())
    objects = [found.key async for found in shop.storage.list_prefix("")]

    assert spend.raw_asset_id is not None
    assert len(objects) == 1
    assert "avatar-raw-" in objects[0]


async def test_ending_without_a_picture_takes_the_reason_that_is_given(tables: Tables) -> None:
    shop = Shop(tables, Scripted([JOB]))
    order = await shop.order()
    spend = await shop.buy(order)
    await shop.buyer.end_without_picture(spend, ProviderError(billed="yes"), code="canceled")

    assert (await shop.row(order)).error_code == "canceled"


async def _claim(shop: Shop, order: PictureOrder) -> Spend:
    return await claimed(shop.tables, order)


def test_a_purchase_that_has_ended_is_not_tried_again_although_the_failure_might_pass() -> None:
    with pytest.raises(ApplicationError) as passing, told_to_temporal():
        raise ProviderUnreachable
    with pytest.raises(ApplicationError) as final, told_to_temporal():
        raise PurchaseEnded(ProviderUnreachable())

    assert (passing.value.type, passing.value.non_retryable) == ("provider_unreachable", False)
    assert (final.value.type, final.value.non_retryable) == ("provider_unreachable", True)
