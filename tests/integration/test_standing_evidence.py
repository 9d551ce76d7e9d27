"""What counts against a provider or a model, and what a client, an old worker or our own waiting cannot make count."""

import asyncio
import contextlib
from uuid import uuid4

import httpx
import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.failures import PurchaseEnded
from activities.standing_board import StandingBoard
from activities.witness import Silence, Witness
from contracts.standing import BreakerState, Standing
from db import breakers, standings, traffic
from db.breaker_rule import RULES
from db.listener import Listener
from db.models import Spend
from db.standing_models import TrafficMinute
from db.traffic import Fault
from errors import (
    DeadlineExceeded,
    ModelGone,
    OutcomeUnknown,
    OutputCorrupt,
    OutputExpired,
    OutputWrongSize,
    PolicyRefused,
    ProviderBusy,
    ProviderError,
    ProviderUnreachable,
    UnknownModel,
)
from providers.base import FinishedPicture, Purchase
from providers.purchase_call import one_purchase
from tests.integration.conftest import Tables
from tests.integration.test_buying import ended_by
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_making import PNG, Workshop, at_once

# A model that takes no time, so that any time was enough, and one that takes far longer than a test.
NO_TIME_S = 1e-9
LONG_S = 1000.0


class Watched:
    """A witness, and the purchases of a provider of this test's own."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.provider = f"test-{uuid4().hex[:8]}"
        self.board = StandingBoard(tables.database, Listener(tables.url, ()))
        self.witness = Witness(tables.database, self.board)

    async def spend(self) -> Spend:
        order = an_order(await a_generation(self.tables))
        candidate = order.candidate.model_copy(update={"provider": self.provider, "model": "m"})
        return await claimed(self.tables, order.model_copy(update={"candidate": candidate}))

    async def ends(self, failure: ProviderError, *, typical_s: float | None = None, delivered: bool = False) -> None:
        """A purchase that goes out, and ends without a picture."""
        spend = await self.spend()
        with ended_by(type(failure)):
            async with self.witness.watching(spend, typical_s=typical_s):
                self.witness.sent(spend)
                if delivered:
                    self.witness.delivered(spend)
                raise PurchaseEnded(failure)

    async def standing(self, model: str = "") -> Standing:
        await self.witness.write()
        async with self.tables.database.statement() as session:
            return (await standings.read(session)).of(self.provider, model)

    async def half_open(self) -> None:
        async with self.tables.database.transaction() as session:
            await traffic.record_fault(session, Fault(self.provider, "m", "provider_unreachable", at_once=True))
        async with self.tables.database.transaction() as session:
            await breakers.record_probe(session, (self.provider, "m"), well=True)
        self.board.outdate()
        await self.board.standings()

    async def trials_left(self) -> int:
        """How many purchases may still try; takes them all."""
        taken = 0
        async with self.tables.database.transaction() as session:
            while await breakers.take_trial(session, self.provider, "m"):
                taken += 1
        return taken


@pytest.fixture
def watched(tables: Tables) -> Watched:
    return Watched(tables)


@pytest.mark.parametrize("typical_s", [LONG_S, None])
async def test_deadlines_that_left_a_model_too_little_time_never_close_it_off_for_others(
    watched: Watched, typical_s: float | None
) -> None:
    for _ in range(2 * RULES.failures):
        await watched.ends(DeadlineExceeded(), typical_s=typical_s)
    row = await watched.standing("m")

    assert (row.breaker, row.traffic.failures) == (BreakerState.closed, 0)


async def test_a_model_that_misses_deadlines_although_it_had_time_is_closed_off(watched: Watched) -> None:
    for _ in range(RULES.failures):
        await watched.ends(DeadlineExceeded(), typical_s=NO_TIME_S)

    assert (await watched.standing("m")).breaker is BreakerState.open
    assert (await watched.standing()).breaker is BreakerState.closed


@pytest.mark.parametrize(
    ("failure", "model", "other"), [(OutputCorrupt, "m", ""), (OutputWrongSize, "m", ""), (OutputExpired, "", "m")]
)
async def test_pictures_that_were_made_and_are_of_no_use_are_faults_and_no_successes(
    watched: Watched, failure: type[ProviderError], model: str, other: str
) -> None:
    for _ in range(RULES.failures):
        await watched.ends(failure(), delivered=True)
    at_fault, beside = await watched.standing(model), await watched.standing(other)

    assert (at_fault.breaker, at_fault.traffic.successes) == (BreakerState.open, 0)
    assert (beside.breaker, beside.traffic.successes) == (BreakerState.closed, 0)


@pytest.mark.parametrize(("body", "successes", "failures"), [(PNG.body, 1, 0), (b"GIF89a...", 0, 1)])
async def test_a_picture_counts_when_it_is_kept_and_against_its_model_when_it_is_none(
    tables: Tables, body: bytes, successes: int, failures: int
) -> None:
    shop = Workshop(tables, at_once(FinishedPicture(body=body, content_type="image/png")))
    order = await shop.order()
    asked = order.candidate

    async def counted() -> tuple[int, int]:
        await shop.witness.write()
        async with tables.database.transaction() as session:
            mine = [TrafficMinute.provider == asked.provider, TrafficMinute.model == asked.model]
            rows = (await session.exec(select(TrafficMinute).where(*mine))).all()
        return sum(row.successes for row in rows), sum(row.failures for row in rows)

    before = await counted()
    with contextlib.suppress(ApplicationError):
        await shop.make(order)
    after = await counted()

    assert (after[0] - before[0], after[1] - before[1]) == (successes, failures)


async def test_how_long_our_own_download_took_is_not_the_providers_time(watched: Watched) -> None:
    spend = await watched.spend()
    async with watched.witness.watching(spend):
        watched.witness.sent(spend)
        watched.witness.delivered(spend)
        await asyncio.sleep(0.3)  # the download
        watched.witness.finished(spend)
    row = (await watched.standing("m")).traffic

    assert (row.successes, row.samples) == (1, 1)
    assert row.p90_s is not None
    assert row.p90_s < 0.3


async def test_a_model_that_only_an_older_catalog_does_not_know_is_no_evidence(watched: Watched) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ModelGone) as caught:
            async with one_purchase(client, _purchase(), timeout_s=1):
                raise UnknownModel("The catalog has no such model.")
    for _ in range(RULES.failures):
        await watched.ends(caught.value)
    row = await watched.standing("m")

    assert (row.breaker, row.traffic.failures) == (BreakerState.closed, 0)


async def test_a_model_that_its_provider_denies_is_closed_off_at_once(watched: Watched) -> None:
    await watched.ends(ModelGone(status=404))

    assert (await watched.standing("m")).breaker is BreakerState.open


async def test_a_purchase_that_waits_to_be_sent_again_is_not_slow(watched: Watched) -> None:
    for failure in (ProviderBusy(retry_after_s=0.1), ProviderUnreachable()):
        spend = await watched.spend()
        async with watched.witness.watching(spend, typical_s=0.02):
            watched.witness.sent(spend)
            await watched.witness.failed(spend, failure)
            await asyncio.sleep(0.2)  # three times typical is over by far

    assert (await watched.standing("m")).traffic.samples == 0


async def test_a_deadline_that_passes_while_a_purchase_waits_to_be_sent_again_is_no_fault(watched: Watched) -> None:
    spend = await watched.spend()
    with ended_by(DeadlineExceeded):
        async with watched.witness.watching(spend, typical_s=NO_TIME_S):
            watched.witness.sent(spend)
            await watched.witness.failed(spend, ProviderBusy(retry_after_s=0.1))
            raise PurchaseEnded(DeadlineExceeded(billed="no"))

    assert (await watched.standing("m")).traffic.failures == 0


@pytest.mark.parametrize("failure", [ProviderUnreachable(), OutcomeUnknown()])
async def test_polls_that_find_nobody_and_lost_answers_do_not_hide_that_a_purchase_is_slow(
    watched: Watched, failure: ProviderError
) -> None:
    spend = await watched.spend()
    async with watched.witness.watching(spend, typical_s=0.02):
        watched.witness.sent(spend)
        silence = Silence(watched.witness, spend)
        for _ in range(Silence.MANY):
            await silence.note(failure)
        await asyncio.sleep(0.2)

    assert (await watched.standing("m")).traffic.samples == 1


async def test_only_a_purchase_that_was_a_trial_gives_one_back(watched: Watched) -> None:
    before = await watched.spend()
    with ended_by(PolicyRefused):
        async with watched.witness.watching(before):
            watched.witness.sent(before)
            await watched.half_open()
            taken = await watched.trials_left()
            raise PurchaseEnded(PolicyRefused())
    left_by_another = await watched.trials_left()
    await watched.ends(PolicyRefused())

    assert (taken, left_by_another) == (RULES.trials, 0)
    assert await watched.trials_left() == 1


async def test_a_trial_that_was_told_to_come_later_is_free_again(watched: Watched) -> None:
    before, trial = await watched.spend(), await watched.spend()
    async with watched.witness.watching(before), watched.witness.watching(trial):
        watched.witness.sent(before)
        await watched.half_open()
        await watched.trials_left()
        await watched.witness.failed(before, ProviderBusy(retry_after_s=0.1))
        left_by_another = await watched.trials_left()
        watched.witness.sent(trial)
        await watched.witness.failed(trial, ProviderBusy(retry_after_s=0.1))

    assert left_by_another == 0
    assert await watched.trials_left() == 1


@pytest.mark.parametrize("error", [ProviderBusy(retry_after_s=0.1), ProviderUnreachable(), OutcomeUnknown()])
async def test_a_trial_that_fails_in_a_tenants_own_account_is_free_again_and_says_nothing(
    watched: Watched, error: ProviderError
) -> None:
    trial = await watched.spend()
    trial.own_key = True
    async with watched.witness.watching(trial):
        await watched.half_open()
        await watched.trials_left()
        watched.witness.sent(trial)
        await watched.witness.failed(trial, error)

    assert (await watched.standing("m")).breaker is BreakerState.half_open
    assert await watched.trials_left() == 1


def _purchase() -> Purchase:
    return Purchase(
        token="t",
        model="m",
        prompt="a fox",
        quality="low",
        size=None,
        shape="square",
        references=(),
        deadline_s=60,
    )
