"""What a purchase is settled at: what the provider said it cost, however it ended; else what was expected when it was bought."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from pydantic import SecretStr

from activities.buying import Buyer
from activities.cancellation import Wish
from activities.failures import PurchaseEnded
from activities.keeping import Keeper, KeepingRules
from contracts.pictures import PictureOrder
from contracts.statuses import Billed, SpendState
from db.models import Spend
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.patience import waiting_for
from tests.integration.test_buying import FAST, Scripted, a_purchase
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_making import PNG, Workshop, at_once
from tests.integration.test_store_outages import Finished
from tests.provider_server import Answer, Reply, Request, Server, Silence, json_reply, provider_server

TOLD, LIKELY, HOLD = Decimal("0.035"), Decimal("0.02"), Decimal("0.05")


class Till:
    """A buyer at getimg, which answers by a script; `wish` is its client's."""

    def __init__(self, tables: Tables, server: Server) -> None:
        self.tables = tables
        self.server = server
        self.wish = Wish()
        self.provider = GetimgProvider(
            base_url=server.url, key=SecretStr("sk_test"), catalog=Catalog.load(), download_pauses_s=(0.01, 0.01)
        )
        providers = {"getimg": self.provider}
        keeper = Keeper(tables.database, MemoryStorage(), providers, KeepingRules())
        self.buyer = Buyer(tables.database, providers, keeper, FAST)

    async def order(self) -> PictureOrder:
        order = an_order(await a_generation(self.tables))
        getimg = {"provider": "getimg", "model": "seedream-5-lite", "likely_usd": LIKELY}
        return order.model_copy(update={"candidate": order.candidate.model_copy(update=getimg)})

    async def buy(self, order: PictureOrder) -> Spend:
        spend = await claimed(self.tables, order)
        return await self.buyer.submitted(spend, a_purchase(spend), self.wish)


@asynccontextmanager
async def a_till(tables: Tables, script: Callable[[Request], Answer]) -> AsyncIterator[Till]:
    async with provider_server(script) as server:
        till = Till(tables, server)
        try:
            yield till
        finally:
            await till.provider.close()


def made(data: object) -> Answer:
    return json_reply({"status": "completed", "data": data, "usage": {"total_cost": float(TOLD)}})


def downloaded(download: Answer) -> Callable[[Request], Answer]:
    """A picture is made, and this is what its address answers."""

    def script(request: Request) -> Answer:
        url = f"http://{request.headers['host']}/media/picture.png"
        return download if request.method == "GET" else made([{"url": url}])

    return script


@pytest.mark.parametrize(
    "script",
    [
        downloaded(Reply(404)),
        downloaded(Reply(503)),
        downloaded(Reply(200, b"")),
        lambda _: made([{"url": "gopher://elsewhere/picture.png"}]),
        lambda _: made([{"id": "no address"}]),
        lambda _: made([]),
        lambda _: json_reply({"image": "not base64", "cost": float(TOLD)}),
    ],
    ids=["gone", "away", "empty", "elsewhere", "no address", "held back", "broken"],
)
async def test_a_paid_picture_that_cannot_be_had_is_settled_at_the_cost_that_was_told(
    tables: Tables, script: Callable[[Request], Answer]
) -> None:
    async with a_till(tables, script) as till:
        order = await till.order()
        with pytest.raises(PurchaseEnded):
            await till.buy(order)
    spend = await claimed(tables, order)

    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, TOLD)


async def test_a_client_who_gives_a_paid_picture_up_while_it_is_downloaded_pays_what_was_told(tables: Tables) -> None:
    async with a_till(tables, downloaded(Silence())) as till:
        order = await till.order()
        buying = asyncio.create_task(till.buy(order))
        async with waiting_for("a download"):
            while len(till.server.requests) < 2:  # noqa: ASYNC110 - the server counts, it has no event
                await asyncio.sleep(0.01)
        till.wish.is_there = True
        buying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await buying
    spend = await claimed(tables, order)

    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.yes, TOLD)


@pytest.mark.parametrize(("likely", "settled"), [(LIKELY, LIKELY), (None, HOLD)])
@pytest.mark.parametrize("provider", [Finished, lambda: at_once(PNG)], ids=["a job", "an answer"])
async def test_a_paid_picture_is_kept_although_todays_catalog_does_not_have_its_model(
    tables: Tables, provider: Callable[[], Scripted], likely: Decimal | None, settled: Decimal
) -> None:
    shop = Workshop(tables, provider())
    order = await shop.order()
    gone = {"model": "no/longer-there", "likely_usd": likely, "max_usd": HOLD}
    order = order.model_copy(update={"candidate": order.candidate.model_copy(update=gone)})
    picture = await shop.make(order)
    spend = await claimed(tables, order)

    assert await shop.keys() == [picture.asset.key]
    assert (spend.state, spend.asset_id) == (SpendState.settled, picture.asset.asset_id)
    assert (spend.cost_usd, picture.cost_usd) == (settled, settled)
