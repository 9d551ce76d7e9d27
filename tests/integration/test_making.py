"""`picture.make` and `picture.undo` whole, on a real ledger: nothing is lost, left behind or reported that is not so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import buying
from activities.accounts import Accounts
from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.observation import PictureMetrics
from activities.pictures import PictureActivities
from activities.standing_board import StandingBoard
from activities.undoing import UndoActivities
from activities.waiting import Waiter, WaitingRules
from activities.witness import Witness
from contracts.pictures import Closing, PictureMade, PictureOrder, UndoOrder, UndoReport
from contracts.statuses import AssetState, Billed, SpendState
from db import ledger, lives, promises
from db.columns import now
from db.listener import Listener
from db.models import Asset, Spend
from errors import DatabaseUnavailable, ProviderUnavailable, StorageUnavailable
from prompts.library import PromptLibrary
from providers.base import FinishedPicture, JobReport, LostJob, RemoteFile
from providers.catalog import Catalog
from storage.base import NewObject, StoredObject
from storage.memory import MemoryStorage
from tests.integration.api.running_api import eventually
from tests.integration.conftest import Tables
from tests.integration.test_buying import FAST, JOB, UNKNOWABLE, Scripted
from tests.integration.test_ledger import PROMPT, a_generation, an_order, claimed


def a_png() -> bytes:
    body = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(body, "PNG")
    return body.getvalue()


PNG = FinishedPicture(body=a_png(), content_type="image/png")


class Workshop:
    """The activities over the real ledger, a scripted provider and a store in memory."""

    def __init__(
        self,
        tables: Tables,
        provider: Scripted,
        storage: MemoryStorage | None = None,
        rules: KeepingRules | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.tables = tables
        self.provider = provider
        self.storage = storage or MemoryStorage()
        providers = accounts or Accounts({"replicate": provider})
        self.keeper = Keeper(tables.database, self.storage, providers, rules or KeepingRules())
        patience = WaitingRules(first_s=0.01, longest_s=0.05, denied_for_s=0.1)
        waiter = Waiter(tables.database, providers, patience)
        buyer = Buyer(tables.database, providers, self.keeper, FAST)
        self.undoing = UndoActivities(database=tables.database, buyer=buyer, waiter=waiter, keeper=self.keeper)
        listener = Listener(tables.url, ())
        self.witness = Witness(tables.database, StandingBoard(tables.database, listener))
        self.pictures = PictureActivities(
            database=tables.database,
            listener=listener,
            storage=self.storage,
            catalog=Catalog.load(),
            library=PromptLibrary.load(),
            buyer=buyer,
            waiter=waiter,
            keeper=self.keeper,
            witness=self.witness,
            metrics=PictureMetrics(CollectorRegistry()),
            public_url=None,
            store_is_public=False,
        )

    async def order(self) -> PictureOrder:
        request = {"kind": "avatar", "avatar": {"description": "a fox", "size": "native"}, "quality": "low"}
        order = an_order(await a_generation(self.tables, request=request))
        model = next(entry for entry in Catalog.load().models if entry.provider == "replicate")
        return order.model_copy(update={"candidate": order.candidate.model_copy(update={"model": model.model})})

    async def make(self, order: PictureOrder) -> PictureMade:
        made: PictureMade = await ActivityEnvironment().run(self.pictures.make_picture, order)
        return made

    async def undo(self, order: PictureOrder) -> UndoReport:
        async with self.tables.database.transaction() as session:
            run = (await lives.read(session, order.generation_id)).run
        undo = UndoOrder(generation_id=order.generation_id, tenant_id=order.tenant_id, step=order.step, run=run)
        report: UndoReport = await ActivityEnvironment().run(self.undoing.undo_picture, undo)
        return report

    async def keys(self) -> list[str]:
        return [found.key async for found in self.storage.list_prefix("")]

    async def spend(self, order: PictureOrder) -> Spend:
        return await claimed(self.tables, order)


def at_once(*answers: Any) -> Scripted:
    return Scripted(list(answers), [UNKNOWABLE], synchronous=True)


async def test_a_picture_is_made_stored_and_settled(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    made = await shop.make(order)
    spend = await shop.spend(order)

    assert await shop.keys() == [made.asset.key]
    assert (spend.state, spend.asset_id, spend.cost_usd) == (SpendState.settled, made.asset.asset_id, made.cost_usd)


async def test_making_a_picture_again_gives_the_same_picture_and_buys_nothing(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()

    assert await shop.make(order) == await shop.make(order)
    assert len(shop.provider.sent) == 1


async def test_what_a_synchronous_provider_says_it_cost_is_what_is_settled(tables: Tables) -> None:
    dear = FinishedPicture(body=PNG.body, content_type="image/png", cost_usd=Decimal("0.041"))
    shop = Workshop(tables, at_once(dear))

    assert (await shop.make(await shop.order())).cost_usd == Decimal("0.041")


async def test_an_answer_that_is_no_picture_is_paid_for_and_leaves_nothing(tables: Tables) -> None:
    shop = Workshop(tables, at_once(FinishedPicture(body=b"GIF89a...", content_type="application/octet-stream")))
    order = await shop.order()
    with pytest.raises(ApplicationError) as caught:
        await shop.make(order)
    spend = await shop.spend(order)

    assert (caught.value.type, caught.value.non_retryable) == ("output_corrupt", True)
    assert (spend.state, spend.billed) == (SpendState.settled, Billed.yes)
    assert await shop.keys() == []


async def test_a_database_that_blinks_after_the_answer_does_not_lose_the_picture(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tables, at_once(PNG))
    blinks = [DatabaseUnavailable()]
    real = ledger.mark_submitted

    async def blink_once(*given: Any, **named: Any) -> Spend:
        if blinks:
            raise blinks.pop()
        return await real(*given, **named)

    monkeypatch.setattr(ledger, "mark_submitted", blink_once)
    await shop.make(await shop.order())

    assert len(shop.provider.sent) == 1


async def test_a_raw_answer_that_could_not_be_removed_at_once_is_removed_by_the_next_attempt(tables: Tables) -> None:
    class Stubborn(MemoryStorage):
        refusals = 1

        async def delete(self, key: str) -> None:
            if self.refusals and "-raw-" in key:
                self.refusals -= 1
                raise StorageUnavailable
            await super().delete(key)

    shop = Workshop(tables, at_once(PNG), Stubborn())
    order = await shop.order()
    with pytest.raises(ApplicationError):
        await shop.make(order)
    made = await shop.make(order)

    assert await shop.keys() == [made.asset.key]


async def test_an_object_that_is_put_after_the_undo_is_removed_by_who_put_it(tables: Tables) -> None:
    may_go_on, putting = asyncio.Event(), asyncio.Event()

    class Slow(MemoryStorage):
        async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
            if "-raw-" not in new.key:
                putting.set()
                await may_go_on.wait()
            return await super().put(new, chunks, size_bytes)

    shop = Workshop(tables, at_once(PNG), Slow())
    order = await shop.order()
    stale = asyncio.create_task(shop.make(order))
    async with asyncio.timeout(120):
        await putting.wait()
    await shop.undo(order)
    may_go_on.set()
    with pytest.raises(ApplicationError):
        await stale

    assert await shop.keys() == []


async def test_nothing_is_bought_for_a_generation_that_has_ended(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    async with tables.database.transaction() as session:
        await lives.close(session, Closing(generation_id=order.generation_id, outcome="failed"))
    with pytest.raises(ApplicationError):
        await shop.make(order)

    assert shop.provider.sent == []


async def test_an_undo_deletes_what_it_can_although_the_provider_is_away(tables: Tables) -> None:
    class Away(Scripted):
        async def poll(self, job_id: str) -> JobReport:
            return JobReport(job_id=job_id, state="succeeded", outputs=(RemoteFile("https://x/y.png"),))

        async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
            raise ProviderUnavailable

        async def cancel(self, job_id: str) -> JobReport:
            raise ProviderUnavailable

    shop = Workshop(tables, Away([JOB]))
    order = await shop.order()
    with pytest.raises(ApplicationError):
        await shop.make(order)
    leftover = NewObject(key="t/g/avatar-x.png", content_type="image/png", sha256=_sha(b"x"))
    await shop.storage.put(leftover, _once(b"x"), 1)
    async with tables.database.transaction() as session:
        session.add(_asset(order, leftover.key))
    with pytest.raises(ApplicationError) as caught:
        await shop.undo(order)

    assert caught.value.type == "provider_unavailable"
    assert await shop.keys() == []


async def test_undoing_twice_is_harmless(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    await shop.make(order)
    first, second = await shop.undo(order), await shop.undo(order)

    assert (len(first.deleted_assets), len(second.deleted_assets)) == (1, 0)
    assert await shop.keys() == []


async def test_a_generation_that_ends_leaves_no_money_open(tables: Tables) -> None:
    generation = await a_generation(tables)
    async with tables.database.transaction() as session:
        held = await ledger.claim(session, an_order(generation, 0), PROMPT)
        perhaps = await ledger.claim(session, an_order(generation, 1), PROMPT)
        perhaps = await ledger.mark_unknown(session, await ledger.mark_sent(session, perhaps, window_s=1))
    async with tables.database.transaction() as session:
        row = await lives.close(session, Closing(generation_id=generation.id, outcome="failed"))
    async with tables.database.transaction() as session:
        ended = [await session.get(Spend, spend.id) for spend in (held, perhaps)]

    assert [(spend.state, spend.billed) for spend in ended if spend] == [
        (SpendState.released, Billed.no),
        (SpendState.settled, Billed.unknown),
    ]
    assert row.cost_usd == perhaps.hold_usd


async def test_a_purchase_waits_for_another_of_its_generation_before_it_touches_the_one_that_it_replaces(
    tables: Tables,
) -> None:
    """Who waits there with a provider's budget in hand would wait in a circle with whoever buys meanwhile."""
    shop = Workshop(tables, at_once(PNG))
    order = await shop.order()
    async with tables.database.transaction() as session:
        spend = await ledger.claim(session, order, PROMPT)
        spend = await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=1))
    again = order.model_copy(update={"purchase": 1, "possible_duplicate": True})

    async with tables.database.transaction() as session:
        await promises.lock(session, order.generation_id)
        making = asyncio.create_task(shop.make(again))
        await eventually(partial(_advisory_waits, tables))
        query = select(Spend).where(Spend.id == spend.id).with_for_update(nowait=True)
        assert (await session.exec(query)).one().state is SpendState.unknown

    await making
    async with tables.database.transaction() as session:
        replaced = await session.get_one(Spend, spend.id)
    assert (replaced.state, replaced.error_code) == (SpendState.settled, "purchase_replaced")


async def _advisory_waits(tables: Tables) -> bool:
    query = text("select 1 from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'")
    async with tables.database.transaction() as session:
        return (await (await session.connection()).execute(query)).first() is not None


async def test_a_generation_that_people_must_look_at_keeps_its_hold(tables: Tables) -> None:
    generation = await a_generation(tables)
    async with tables.database.transaction() as session:
        await lives.open_(session, generation)
        spend = await ledger.claim(session, an_order(generation), PROMPT)
        spend = await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=1))
        await lives.close(session, Closing(generation_id=generation.id, outcome="needs_review"))
    async with tables.database.transaction() as session:
        kept = await session.get(Spend, spend.id)

    assert kept is not None
    assert kept.state is SpendState.unknown


async def test_a_worker_whose_clock_is_ahead_does_not_send_again_too_early(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Scripted([JOB], [LostJob(report=None, conclusive=True)])
    shop = Workshop(tables, provider)
    order = await shop.order()
    async with tables.database.transaction() as session:  # another worker, whose POST is under way
        await ledger.mark_sent(session, await ledger.claim(session, order, PROMPT), window_s=40)
    monkeypatch.setattr(buying, "now", lambda: now() + timedelta(seconds=45))
    attempt = asyncio.create_task(shop.make(order))

    async def looked_up_five_times() -> bool:
        return provider.looked_up >= 5

    await eventually(looked_up_five_times)
    attempt.cancel()
    await asyncio.wait({attempt})

    assert provider.sent == []


def _sha(body: bytes) -> str:
    from hashlib import sha256

    return sha256(body).hexdigest()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _asset(order: PictureOrder, key: str) -> Asset:
    return Asset(
        tenant_id=order.tenant_id,
        generation_id=order.generation_id,
        step=order.step,
        state=AssetState.pending,
        key=key,
        content_type="image/png",
        size_bytes=1,
        sha256=_sha(b"x"),
        width=1,
        height=1,
    )
