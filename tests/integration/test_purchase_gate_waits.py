"""How long a purchase waits at the gate, for what, and what is looked at when the wait is over."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from activities.buying import Buyer
from activities.gate_metrics import GateMetrics
from activities.keeping import Keeper, KeepingRules
from activities.purchase_gate import PurchaseGate
from contracts.names import CHANNEL_STANDING
from contracts.standing import LaneMode
from contracts.statuses import SpendState
from db import traffic
from db.breaker_rule import RULES
from db.columns import now
from db.listener import Listener
from db.standing_models import Breaker, Lane
from errors import DeadlineExceeded, LanePaused, ProviderBusy, StorageUnavailable
from providers.base import FinishedPicture
from storage.base import NewObject, StoredObject
from storage.memory import MemoryStorage
from tests.crash.looking import until
from tests.integration.conftest import Tables
from tests.integration.test_buying import FAST, JOB, ended_by
from tests.integration.test_purchase_gate import Counter, Probed, jobs

PICTURE = FinishedPicture(body=b"\x89PNG", content_type="image/png")
# A wait that a deadline of some seconds did not cut would last longer, even on a machine that is busy with other things.
WAITS_END_WITHIN_S = 120


class AwayStorage(MemoryStorage):
    """Takes no writes until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.was_asked = asyncio.Event()

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        self.was_asked.set()
        if self.is_away:
            raise StorageUnavailable
        return await super().put(new, chunks, size_bytes)


class Hall(Counter):
    """A shop with room for one answer at a time, which counts who has to wait. `storage` is where answers are kept."""

    def __init__(self, tables: Tables, listener: Listener, storage: MemoryStorage) -> None:
        super().__init__(tables, listener, Probed([]))
        self._held_back = CollectorRegistry()
        providers = {self.name: self.provider}
        self._keeper = Keeper(tables.database, storage, providers, KeepingRules(answers_at_once=1))
        gate = PurchaseGate(tables.database, self.board, metrics=GateMetrics(self._held_back))
        self.buyer = Buyer(tables.database, providers, self._keeper, FAST, gate=gate, witness=self.witness)

    def sells(self, *answers: object) -> None:
        """What the provider answers."""
        self.provider._submits = list(answers)
        self.provider.synchronous = any(isinstance(answer, FinishedPicture) for answer in answers)

    def room(self) -> AbstractAsyncContextManager[None]:
        """The room for an answer."""
        return self._keeper.gate.passed(now() + timedelta(seconds=60))

    async def held_back(self, purchases: int) -> None:
        """Return when so many have begun to wait."""

        async def are() -> bool:
            rows = [row for metric in self._held_back.collect() for row in metric.samples]
            return sum(row.value for row in rows if row.name.endswith("_total")) >= purchases

        await until(are, every_s=0.02)


@pytest.fixture
def storage() -> AwayStorage:
    return AwayStorage()


@pytest.fixture
async def shop(tables: Tables, storage: AwayStorage) -> AsyncIterator[Hall]:
    listener = Listener(tables.url, (CHANNEL_STANDING,))
    async with listener.listening():
        hall = Hall(tables, listener, storage)
        async with hall.board.noticing():
            yield hall


async def busy_for(shop: Hall, seconds: float) -> None:
    async with shop.tables.database.transaction() as session:
        await traffic.record_busy(session, shop.name, "m", now() + timedelta(seconds=seconds))


async def lane(shop: Hall, model: str) -> Lane:
    async with shop.tables.database.transaction() as session:
        return await session.get_one(Lane, (shop.name, model))


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait would take fifty times as long as it has to, and so surely longer than a deadline of some seconds."""
    monkeypatch.setattr(random, "uniform", lambda _least, _most: 50.0)


@pytest.mark.usefixtures("long_waits")
async def test_a_wait_never_passes_the_deadline(shop: Hall) -> None:
    shop.sells(JOB)
    await busy_for(shop, 4.9)

    with ended_by(DeadlineExceeded):
        async with asyncio.timeout(WAITS_END_WITHIN_S):
            await shop.buy(deadline_s=5)
    spend = await shop.last_spend()
    assert (spend.state, spend.sends, shop.provider.sent) == (SpendState.released, 0, [])


@pytest.mark.usefixtures("long_waits")
async def test_a_refused_purchase_waits_no_longer_than_its_deadline_either(shop: Hall) -> None:
    shop.sells(ProviderBusy(retry_after_s=4), JOB)

    with ended_by(ProviderBusy):
        async with asyncio.timeout(WAITS_END_WITHIN_S):
            await shop.buy(deadline_s=6)
    assert len(shop.provider.sent) == 1


async def test_a_provider_that_was_paused_while_the_store_was_away_is_not_bought_from(
    shop: Hall, storage: AwayStorage
) -> None:
    shop.sells(PICTURE)
    storage.is_away = True
    buying = asyncio.create_task(shop.buy(alternatives=1))
    await storage.was_asked.wait()
    await shop.put(LaneMode.paused)
    await until(lambda: shop.board_says(mode=LaneMode.paused), every_s=0.05)
    storage.is_away = False

    with ended_by(LanePaused):
        await buying
    assert shop.provider.sent == []


async def test_a_paused_lane_does_not_use_up_the_room_for_answers(shop: Hall) -> None:
    shop.sells(PICTURE)
    await shop.put(LaneMode.paused, model="m")
    waiting = asyncio.create_task(shop.buy())
    await shop.held_back(1)
    async with shop.room():
        is_free = not waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})

    assert is_free


@pytest.mark.parametrize("busy_s", [12, 50])
async def test_a_long_wait_is_passed_by_where_there_is_an_alternative(shop: Hall, busy_s: float) -> None:
    shop.sells()
    await busy_for(shop, busy_s)

    with ended_by(ProviderBusy):
        await shop.buy(alternatives=1)
    spend = await shop.last_spend()
    assert (spend.state, spend.error_code, spend.sends) == (SpendState.released, "provider_busy", 0)


async def test_a_long_wait_that_is_told_to_this_very_purchase_is_passed_by_too(shop: Hall) -> None:
    shop.sells(ProviderBusy(retry_after_s=30))

    with ended_by(ProviderBusy):
        await shop.buy(alternatives=1)
    spend = await shop.last_spend()
    assert (spend.state, len(shop.provider.sent)) == (SpendState.released, 1)


async def test_a_short_wait_is_waited_although_there_is_an_alternative(shop: Hall) -> None:
    shop.sells(ProviderBusy(retry_after_s=0.3), JOB)

    assert (await shop.buy(alternatives=1)).state is SpendState.submitted


async def test_the_last_candidate_is_waited_for(shop: Hall) -> None:
    shop.sells(JOB)
    await busy_for(shop, 5.5)

    assert (await shop.buy()).state is SpendState.submitted


async def test_who_has_to_wait_for_a_trial_takes_nothing_of_the_models_limit(shop: Hall) -> None:
    shop.sells(*jobs(RULES.trials))
    await shop.half_open()
    await shop.put(LaneMode.active, model="m", creates_per_minute=6000)
    for _ in range(RULES.trials):
        await shop.buy()
    before = (await lane(shop, "m")).next_create_at
    waiting = [asyncio.create_task(shop.buy()) for _ in range(5)]
    await shop.held_back(5)
    after = (await lane(shop, "m")).next_create_at
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)

    assert before is not None
    assert after == before


async def test_who_has_to_wait_for_the_models_limit_gives_the_trial_back(shop: Hall) -> None:
    shop.sells(*jobs(1))
    await shop.half_open()
    await shop.put(LaneMode.active, model="m", creates_per_minute=1)
    await shop.buy()
    with ended_by(ProviderBusy):
        await shop.buy(deadline_s=6)
    async with shop.tables.database.transaction() as session:
        breaker = await session.get_one(Breaker, (shop.name, ""))

    assert breaker.trials == 1
