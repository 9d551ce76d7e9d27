"""A store that is away or full while pictures are bought and kept: nothing is bought twice, and nothing ends untold."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sqlmodel import col, update
from temporalio.exceptions import ApplicationError

from activities.buying import Buyer
from activities.cancellation import Wish
from activities.keeping import KeepingRules
from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import Billed, SpendState
from db import ledger
from db.columns import now
from db.models import Spend
from errors import PolicyRefused, StorageError, StorageFull, StorageUnavailable
from providers.base import FinishedPicture, JobReport, Purchase, RemoteFile
from storage.base import NewObject, StoredObject
from storage.memory import MemoryStorage
from storage.write_probe import PREFIX, WriteProbe
from tests.integration.conftest import Tables
from tests.integration.patience import waiting_for
from tests.integration.test_buying import FAST, JOB, Scripted, a_purchase
from tests.integration.test_ledger import PROMPT
from tests.integration.test_making import PNG, Workshop, a_png, at_once

IN_TIME_S = 60  # a deadline that a busy machine does not miss before it has bought
# A second after the purchase began, if its deadline is IN_TIME_S.
GIVES_UP_SOON = KeepingRules(after_deadline_s=1 - IN_TIME_S, at_least_s=0.3)
GIVES_UP_AT_THE_DEADLINE = KeepingRules(after_deadline_s=0)


class Refusing(MemoryStorage):
    """Refuses so many puts of pictures with an error; probes are refused while `takes_no_writes` is set."""

    def __init__(self, error: type[StorageError], refusals: int) -> None:
        super().__init__()
        self.error = error
        self.refusals = refusals
        self.takes_no_writes = False

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        if new.key.startswith(PREFIX):
            if self.takes_no_writes:
                raise self.error
        elif self.refusals:
            self.refusals -= 1
            raise self.error
        return await super().put(new, chunks, size_bytes)


class Finished(Scripted):
    """A provider with jobs, all of them done."""

    def __init__(self, submits: int = 1, cost_usd: Decimal | None = None) -> None:
        super().__init__([JOB] * submits)
        self.cost_usd = cost_usd

    async def poll(self, job_id: str) -> JobReport:
        picture = RemoteFile("https://provider.test/picture.png")
        return JobReport(job_id=job_id, state="succeeded", outputs=(picture,), cost_usd=self.cost_usd)

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        return a_png()


async def fails(shop: Workshop, order: PictureOrder) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await shop.make(order)
    return caught.value


async def priced(shop: Workshop, **changes: object) -> PictureOrder:
    order = await shop.order()
    candidate = order.candidate.model_copy(update={"likely_usd": Decimal("0.02")})
    return order.model_copy(update={"candidate": candidate} | changes)


async def is_late(tables: Tables, order: PictureOrder) -> None:
    """As if the deadline of its purchase were over."""
    async with tables.database.transaction() as session:
        mine = col(Spend.generation_id) == order.generation_id
        await session.exec(update(Spend).where(mine).values(deadline_at=now()))


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
async def test_a_paid_answer_waits_in_memory_until_the_store_takes_it(
    tables: Tables, error: type[StorageError]
) -> None:
    shop = Workshop(tables, at_once(PNG), Refusing(error, refusals=3))
    made = await shop.make(await shop.order())

    assert await shop.keys() == [made.asset.key]
    assert len(shop.provider.sent) == 1


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
async def test_a_paid_answer_that_cannot_be_kept_is_settled_as_paid_and_not_bought_again(
    tables: Tables, error: type[StorageError]
) -> None:
    dear = FinishedPicture(body=PNG.body, content_type="image/png", cost_usd=Decimal("0.041"))
    shop = Workshop(tables, at_once(dear), Refusing(error, refusals=1000), GIVES_UP_SOON)
    order = await priced(shop, deadline_s=IN_TIME_S)
    first, second = await fails(shop, order), await fails(shop, order)
    spend = await shop.spend(order)

    assert (first.type, first.non_retryable, first.details[0]["billed"]) == (error.code, True, "yes")
    assert (second.type, second.non_retryable, second.details[0]["billed"]) == (error.code, True, "yes")
    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, Decimal("0.041"))
    assert len(shop.provider.sent) == 1


async def test_a_client_who_gives_up_a_paid_answer_pays_for_it(tables: Tables) -> None:
    storage = Refusing(StorageUnavailable, refusals=1000)
    shop = Workshop(tables, at_once(PNG), storage)
    buyer, wish = Buyer(tables.database, {"replicate": shop.provider}, shop.keeper, FAST), Wish()
    order = await priced(shop)
    spend = await shop.spend(order)
    buying = asyncio.create_task(buyer.submitted(spend, a_purchase(spend), wish))
    async with waiting_for("a put that was refused"):
        while storage.refusals == 1000:  # noqa: ASYNC110 - the store counts, it has no event
            await asyncio.sleep(0.01)
    wish.is_there = True
    buying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await buying
    spend = await shop.spend(order)

    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, Decimal("0.02"))
    assert spend.error_code == "canceled"


async def test_nothing_is_bought_whose_answer_the_store_could_not_take(tables: Tables) -> None:
    storage = Refusing(StorageUnavailable, refusals=0)
    storage.takes_no_writes = True
    shop = Workshop(tables, at_once(PNG), storage)
    making = asyncio.create_task(shop.make(await shop.order()))
    await asyncio.wait({making}, timeout=0.5)
    sent_while_away = len(shop.provider.sent)
    storage.takes_no_writes = False
    made = await making

    assert sent_while_away == 0
    assert await shop.keys() == [made.asset.key]


async def test_a_store_that_takes_no_writes_up_to_the_deadline_ends_the_purchase_unbought(tables: Tables) -> None:
    storage = Refusing(StorageFull, refusals=0)
    storage.takes_no_writes = True
    shop = Workshop(tables, at_once(), storage)
    order = await priced(shop, deadline_s=5)  # it is waited for, but longer than the way to the gate takes
    failure = await fails(shop, order)
    spend = await shop.spend(order)

    assert (failure.type, failure.details[0]["billed"]) == ("storage_full", "no")
    assert (spend.state, spend.error_code, shop.provider.sent) == (SpendState.released, "storage_full", [])


async def test_a_store_that_is_away_does_not_keep_a_provider_with_jobs_from_being_asked(tables: Tables) -> None:
    storage = Refusing(StorageUnavailable, refusals=1000)
    storage.takes_no_writes = True
    shop = Workshop(tables, Finished(), storage)
    failure = await fails(shop, await shop.order())

    assert (failure.type, failure.non_retryable) == ("storage_unavailable", False)
    assert len(shop.provider.sent) == 1


async def test_of_answers_that_may_have_to_wait_in_memory_there_are_never_more_than_allowed(tables: Tables) -> None:
    under_way, most = 0, 0
    as_many_as_allowed = asyncio.Event()

    class Counting(Scripted):
        async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 2:
                as_many_as_allowed.set()
            await as_many_as_allowed.wait()
            await asyncio.sleep(0.02)
            under_way -= 1
            return PNG

    shop = Workshop(tables, Counting([], synchronous=True), rules=KeepingRules(answers_at_once=2))
    orders = [await shop.order() for _ in range(6)]
    await asyncio.gather(*(shop.make(order) for order in orders))

    assert most == 2


async def test_a_job_whose_picture_finds_no_room_is_tried_again_and_kept_when_there_is_room(tables: Tables) -> None:
    shop = Workshop(tables, Finished(), Refusing(StorageFull, refusals=2))
    order = await shop.order()
    refused = [await fails(shop, order), await fails(shop, order)]
    made: PictureMade = await shop.make(order)

    assert [(failure.type, failure.non_retryable) for failure in refused] == [("storage_full", False)] * 2
    assert await shop.keys() == [made.asset.key]
    assert len(shop.provider.sent) == 1


@pytest.mark.parametrize(("told", "settled"), [(None, "0.02"), (Decimal("0.03"), "0.03")])
async def test_a_job_whose_picture_finds_no_room_in_time_is_settled_as_paid(
    tables: Tables, told: Decimal | None, settled: str
) -> None:
    refusing = Refusing(StorageFull, refusals=1000)
    shop = Workshop(tables, Finished(cost_usd=told), refusing, GIVES_UP_AT_THE_DEADLINE)
    order = await priced(shop, deadline_s=IN_TIME_S)
    in_time = await fails(shop, order)
    await is_late(tables, order)
    failure = await fails(shop, order)
    spend = await shop.spend(order)

    assert (in_time.type, in_time.non_retryable, failure.non_retryable) == ("storage_full", False, True)
    assert (failure.type, failure.details[0]["billed"]) == ("storage_full", "yes")
    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, Decimal(settled))
    assert spend.error_code == "storage_full"


async def test_a_probe_leaves_nothing_behind_and_asks_once_for_all(tables: Tables) -> None:
    puts = 0

    class Counting(MemoryStorage):
        async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
            nonlocal puts
            puts += 1
            return await super().put(new, chunks, size_bytes)

    storage = Counting()
    probe = WriteProbe(storage)
    answers = await asyncio.gather(*(probe.trouble() for _ in range(20)))

    assert answers == [None] * 20
    assert puts == 1
    assert [found.key async for found in storage.list_prefix("")] == []


async def test_a_store_that_never_answers_a_probe_counts_as_away() -> None:
    class Silent(MemoryStorage):
        async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
            await asyncio.Event().wait()
            raise AssertionError

    assert isinstance(await WriteProbe(Silent(), patience_s=0.05).trouble(), StorageUnavailable)


async def test_a_refusal_is_told_again_with_all_that_was_known_of_it(tables: Tables) -> None:
    refusal = PolicyRefused("The picture was refused.", billed="yes", category="violence", stage="output")
    shop = Workshop(tables, at_once(refusal))
    order = await shop.order()
    first, second = await fails(shop, order), await fails(shop, order)

    assert first.details == second.details
    assert second.details[0] == {"billed": "yes", "category": "violence", "stage": "output"}
    assert second.message == "The picture was refused."


async def test_what_may_have_been_bought_counts_with_the_catalogs_price(tables: Tables) -> None:
    shop = Workshop(tables, at_once())
    order = await priced(shop)
    async with tables.database.transaction() as session:
        spend = await ledger.claim(session, order, PROMPT)
        await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=1))
        await ledger.close_open(session, order.generation_id)
        cost = await ledger.cost_of(session, order.generation_id)

    assert cost == Decimal("0.02")
