"""Unfinished pictures on a real ledger: shown while their purchase lasts, gone after it, and never in its way."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError

from activities import partials
from contracts.pictures import PictureOrder
from contracts.statuses import AssetRole, AssetState, Step
from db.models import Asset, Event
from errors import PolicyRefused, StorageUnavailable
from providers.base import Purchase
from storage.base import NewObject, StoredObject
from storage.memory import MemoryStorage
from tests.integration.api.running_api import eventually
from tests.integration.conftest import Tables
from tests.integration.test_buying import Scripted
from tests.integration.test_ledger import a_generation, an_order
from tests.integration.test_making import PNG, Workshop, at_once


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long to keep one: it is not to be dropped for that."""
    monkeypatch.setattr(partials, "KEEP_WITHIN_S", 100.0)


def dim(colour: str) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(body, "PNG")
    return body.getvalue()


class Showing(Scripted):
    """Shows unfinished pictures before it answers, each as soon as the one before can be seen."""

    def __init__(self, answer: Any, *partials: tuple[int, bytes]) -> None:
        super().__init__([answer], synchronous=True)
        self.partials = partials
        self.seen: Any = None

    async def submit(self, purchase: Purchase) -> Any:
        if purchase.on_partial is not None:
            for number, body in self.partials:
                purchase.on_partial(number, body)
            await self.seen()
        return await super().submit(purchase)


async def _order(shop: Workshop, partials: int) -> PictureOrder:
    request = {"kind": "image", "prompt": "a fox", "quality": "low", "traits": {"partials": partials}}
    generation = await a_generation(shop.tables, request=request)
    order = an_order(generation)
    model = (await shop.order()).candidate
    return order.model_copy(update={"candidate": model, "step": Step.variant_1})


async def _events(shop: Workshop, order: PictureOrder) -> list[Event]:
    async with shop.tables.database.transaction() as session:
        query = select(Event).where(Event.generation_id == order.generation_id).order_by(col(Event.seq))
        return list((await session.exec(query)).all())


async def _partials(shop: Workshop, order: PictureOrder) -> list[Asset]:
    async with shop.tables.database.transaction() as session:
        query = select(Asset).where(Asset.generation_id == order.generation_id, Asset.role == AssetRole.partial)
        return list((await session.exec(query)).all())


def _waiting_for(shop: Workshop, order: PictureOrder, count: int) -> Any:
    async def seen() -> None:
        async def told() -> bool:
            return sum(event.type == "picture.partial" for event in await _events(shop, order)) >= count

        await eventually(told)

    return seen


async def test_they_are_told_of_as_they_come_and_gone_when_the_picture_is_there(tables: Tables) -> None:
    provider = Showing(PNG, (0, dim("navy")), (1, dim("blue")))
    shop = Workshop(tables, provider)
    order = await _order(shop, 2)
    provider.seen = _waiting_for(shop, order, 2)

    made = await shop.make(order)

    told = [event.data for event in await _events(shop, order) if event.type == "picture.partial"]
    rows = await _partials(shop, order)
    assert sorted(data["index"] for data in told) == [0, 1]
    assert {data["asset_id"] for data in told} == {str(row.id) for row in rows}
    assert {row.state for row in rows} == {AssetState.deleted}
    assert await shop.keys() == [made.asset.key]
    assert "picture.deleted" not in {event.type for event in await _events(shop, order)}


async def test_those_of_a_purchase_that_was_refused_are_gone_too(tables: Tables) -> None:
    provider = Showing(PolicyRefused(billed="yes", stage="output"), (0, dim("navy")))
    shop = Workshop(tables, provider)
    order = await _order(shop, 1)
    provider.seen = _waiting_for(shop, order, 1)

    with pytest.raises(ApplicationError, match="safety filter"):
        await shop.make(order)

    assert await shop.keys() == []
    assert {row.state for row in await _partials(shop, order)} == {AssetState.deleted}


async def test_no_more_are_kept_than_were_asked_for_and_each_number_once(tables: Tables) -> None:
    provider = Showing(PNG, (0, dim("navy")), (0, dim("blue")), (1, dim("red")), (2, dim("green")))
    shop = Workshop(tables, provider)
    order = await _order(shop, 1)
    provider.seen = _waiting_for(shop, order, 1)

    await shop.make(order)

    assert len(await _partials(shop, order)) == 1


async def test_nobody_is_told_of_one_that_is_no_picture(tables: Tables) -> None:
    async def at_once_seen() -> None:
        return None

    provider = Showing(PNG, (0, b"not a picture"))
    provider.seen = at_once_seen
    shop = Workshop(tables, provider)
    order = await _order(shop, 1)

    await shop.make(order)

    assert await _partials(shop, order) == []


class AwayForPartials(MemoryStorage):
    """A store that takes everything but unfinished pictures."""

    refused = False

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        if "-partial-" in new.key:
            self.refused = True
            raise StorageUnavailable
        return await super().put(new, chunks, size_bytes)


async def test_a_store_that_cannot_take_them_does_not_stand_in_the_pictures_way(tables: Tables) -> None:
    store = AwayForPartials()
    provider = Showing(PNG, (0, dim("navy")))
    shop = Workshop(tables, provider, store)
    order = await _order(shop, 1)

    async def refused() -> None:
        async def was() -> bool:
            return store.refused

        await eventually(was)

    provider.seen = refused
    made = await shop.make(order)

    assert await shop.keys() == [made.asset.key]
    assert {row.state for row in await _partials(shop, order)} <= {AssetState.deleted}


async def test_who_asks_for_none_gives_the_provider_nobody_to_show_them_to(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    await shop.make(await _order(shop, 0))

    assert shop.provider.sent[0].on_partial is None
