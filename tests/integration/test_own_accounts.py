"""Purchases with a tenant's own provider key: they go to that account, and what is wrong with it is nobody else's trouble."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities.accounts import Accounts, OwnAccounts
from activities.buying import Buyer
from activities.cancellation import Wish
from activities.keeping import Keeper, KeepingRules
from activities.purchase_gate import PurchaseGate, Room
from activities.reconciliation.inquiry import Inquiry
from activities.standing_board import StandingBoard
from activities.waiting import Waiter, WaitingRules
from activities.witness import Witness
from contracts.budgets import BudgetOf, Period
from contracts.key_ring import KeyRing
from contracts.pictures import PictureOrder
from contracts.standing import BreakerState
from contracts.statuses import SpendState
from db import budget_figures, budgets, credentials, ledger, standings
from db.audit import SERVICE
from db.breaker_rule import RULES
from db.budgets import NewBudget
from db.columns import now
from db.credential_safe import CredentialSafe
from db.listener import Listener
from db.models import Spend
from errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    OwnAccountEmpty,
    OwnKeyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
)
from providers.base import ImageProvider, JobReport, LostJob
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_buying import ABSENT, FAST, JOB, UNKNOWABLE, Scripted, a_purchase, ended_by
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_making import Workshop

# What a provider's file finds out when it is made: no key of this provider looks like that.
NO_KEY_AT_ALL = "no-key-at-all"


def safe(number: int = 1) -> CredentialSafe:
    return CredentialSafe(KeyRing.parse(f"k{number}:{base64.b64encode(bytes([number]) * 32).decode()}", setting="X"))


class Named(Scripted):
    """A provider that says with which key it was made, and whether it was closed."""

    def __init__(self, key: str, answers: list[Any], look_up: LostJob) -> None:
        super().__init__(answers, [look_up])
        self.key = key
        self.closed = False

    async def poll(self, job_id: str) -> JobReport:
        return JobReport(job_id=job_id, state="succeeded", facts={"key": self.key})

    async def close(self) -> None:
        self.closed = True


class House:
    """The service's provider, and those that are made with tenants' keys."""

    def __init__(
        self, tables: Tables, answers: dict[str, list[Any]], *, name: str, sealing: CredentialSafe, look_up: LostJob
    ) -> None:
        self.tables = tables
        self.name = name
        self.answers = answers
        self.look_up = look_up
        self.made: list[Named] = []
        self.ours = Named("ours", answers.get("ours", []), look_up)
        self.own = OwnAccounts(tables.database, sealing, self._make)
        self.accounts = Accounts({self.name: self.ours}, self.own)
        self.board = StandingBoard(tables.database, Listener(tables.url, ()))
        self.witness = Witness(tables.database, self.board)
        self.keeper = Keeper(tables.database, MemoryStorage(), self.accounts, KeepingRules())
        self.buyer = Buyer(tables.database, self.accounts, self.keeper, FAST, witness=self.witness)
        patience = WaitingRules(first_s=0.01, longest_s=0.01, denied_for_s=0.05)
        self.waiter = Waiter(tables.database, self.accounts, patience)
        self.inquiry = Inquiry(tables.database, self.accounts, self.buyer, self.waiter, timedelta(minutes=55))

    def _make(self, _name: str, key: str) -> ImageProvider:
        if key == NO_KEY_AT_ALL:
            raise ProviderCredentials
        self.made.append(Named(key, self.answers.get(key, []), self.look_up))
        return self.made[-1]

    async def bring(self, key: str) -> None:
        async with self.tables.database.transaction() as session:
            how: dict[str, Any] = {"tenant_id": self.tables.tenant_id, "provider": self.name}
            await credentials.put(session, SERVICE, safe(), key=key, **how)

    async def take_away(self) -> None:
        async with self.tables.database.transaction() as session:
            await credentials.remove(session, SERVICE, self.tables.tenant_id, self.name)

    async def order(self) -> PictureOrder:
        order = an_order(await a_generation(self.tables))
        return order.model_copy(update={"candidate": order.candidate.model_copy(update={"provider": self.name})})

    async def buy(self) -> Spend:
        spend = await claimed(self.tables, await self.order())
        async with self.witness.watching(spend):
            return await self.buyer.submitted(spend, a_purchase(spend), Wish())

    async def lost(self) -> Spend:
        """A purchase that was sent, and whose answer nobody heard."""
        spend = await claimed(self.tables, await self.order())
        async with self.tables.database.transaction() as session:
            return await ledger.mark_sent(session, spend, window_s=-1)

    async def breaker(self, model: str = "") -> BreakerState:
        async with self.tables.database.statement() as session:
            return (await standings.read(session)).of(self.name, model).breaker


def house(
    tables: Tables,
    *,
    name: str | None = None,
    sealing: CredentialSafe | None = None,
    look_up: LostJob = UNKNOWABLE,
    **answers: list[Any],
) -> House:
    name = name or f"test-{uuid4().hex[:8]}"
    return House(tables, answers, name=name, sealing=sealing or safe(), look_up=look_up)


async def test_a_tenant_with_a_key_buys_with_it_and_others_with_ours(tables: Tables) -> None:
    shop = house(tables, ours=[JOB], key_1=[JobReport(job_id=uuid4().hex, state="waiting")])
    without = await shop.buy()
    await shop.bring("key_1")

    with_own = await shop.buy()
    seen = await (await shop.accounts.of(with_own)).poll("x")

    assert (without.own_key, with_own.own_key) == (False, True)
    assert [made.key for made in shop.made] == ["key_1"]
    assert (len(shop.ours.sent), len(shop.made[0].sent)) == (1, 1)
    assert seen.facts == {"key": "key_1"}


async def test_a_purchase_that_began_before_the_key_came_stays_with_our_account(tables: Tables) -> None:
    shop = house(tables)
    spend = await claimed(tables, await shop.order())
    await shop.bring("key_1")

    again = await shop.accounts.of(spend)

    assert again is shop.ours


async def test_a_replaced_key_is_used_from_then_on_and_the_old_one_is_closed_at_the_end(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.accounts.LOOK_AGAIN_S", 0.0)
    shop = house(tables)
    await shop.bring("key_1")
    spend = await claimed(tables, await shop.order())
    first, same = await shop.accounts.of(spend), await shop.accounts.of(spend)
    await shop.bring("key_2")

    second = await shop.accounts.of(spend)

    assert first is same
    assert [made.key for made in shop.made] == ["key_1", "key_2"]
    assert second is shop.made[1]
    assert not shop.made[0].closed, "a call of it may be under way"
    await shop.own.close()
    assert all(made.closed for made in shop.made)


async def test_no_more_accounts_are_open_than_there_is_room_for_when_nobody_uses_them(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.accounts.MOST_AT_ONCE", 2)
    monkeypatch.setattr("activities.accounts.IDLE_AFTER_S", 0.0)
    monkeypatch.setattr("activities.accounts.LONGEST_CALL_S", 0.0)
    shop = house(tables)
    for number in range(4):
        shop.name = f"test-{uuid4().hex[:8]}"
        await shop.bring(f"key_{number}")
        await shop.accounts.of(await claimed(tables, await shop.order()))

    assert [made.closed for made in shop.made] == [True, True, False, False]


async def test_accounts_in_use_are_not_made_again_although_there_is_no_room_for_all(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.accounts.MOST_AT_ONCE", 1)
    monkeypatch.setattr("activities.accounts.LOOK_AGAIN_S", 0.0)
    shop, spends = house(tables), list[Spend]()
    for number in range(3):
        shop.name = f"test-{uuid4().hex[:8]}"
        await shop.bring(f"key_{number}")
        spends.append(await claimed(tables, await shop.order()))

    for spend in [*spends, *spends]:
        await shop.accounts.of(spend)

    assert [made.key for made in shop.made] == ["key_0", "key_1", "key_2"]


async def test_a_key_that_was_replaced_while_the_purchase_waited_at_the_gate_is_not_used(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.accounts.LOOK_AGAIN_S", 0.0)
    shop = house(tables, key_1=[JOB], key_2=[JOB])

    class Replacing(PurchaseGate):
        @asynccontextmanager
        async def passed(self, spend: Spend, *, alternatives: int, room: Room = nullcontext) -> AsyncIterator[None]:
            await shop.bring("key_2")
            async with room():
                yield

    shop.buyer = Buyer(tables.database, shop.accounts, shop.keeper, FAST, gate=Replacing(tables.database, shop.board))
    await shop.bring("key_1")

    await shop.buy()

    assert [(made.key, len(made.sent)) for made in shop.made] == [("key_1", 0), ("key_2", 1)]


async def test_a_key_that_was_taken_away_ends_what_was_to_be_bought_with_it(tables: Tables) -> None:
    shop = house(tables)
    await shop.bring("key_1")
    spend = await claimed(tables, await shop.order())
    await shop.take_away()

    with ended_by(ProviderCredentials):
        await shop.buyer.submitted(spend, a_purchase(spend), Wish())

    async with tables.database.transaction() as session:
        row = await session.get_one(Spend, spend.id)
    assert (row.state, row.error_code) == (SpendState.released, "provider_credentials")
    assert shop.ours.sent == []


async def test_a_running_purchase_whose_key_was_taken_away_is_left_to_people_and_bought_from_nobody_else(
    tables: Tables,
) -> None:
    shop = house(tables, name="replicate", key_1=[JOB])
    workshop = Workshop(tables, shop.ours, accounts=shop.accounts)
    await shop.bring("key_1")
    order = await workshop.order()
    spend = await workshop.spend(order)
    await shop.buyer.submitted(spend, a_purchase(spend), Wish())
    await shop.take_away()
    await shop.own.close()

    with pytest.raises(ApplicationError) as caught:
        await workshop.make(order)

    assert caught.value.type == "outcome_unknown", "anything that fails over would have it bought once more"
    assert (await workshop.spend(order)).state is SpendState.unknown


@pytest.mark.parametrize("is_sealed_by_another", [True, False])
async def test_a_running_purchase_whose_key_cannot_be_used_here_is_asked_about_until_it_can(
    tables: Tables, is_sealed_by_another: bool
) -> None:
    shop = house(tables, key_1=[JOB])
    await shop.bring("key_1")
    spend = await shop.buy()
    here = house(tables, name=shop.name, sealing=safe(2 if is_sealed_by_another else 1))
    await shop.bring("key_2" if is_sealed_by_another else NO_KEY_AT_ALL)
    spend.deadline_at = now()

    with pytest.raises(ProviderUnavailable, match="own key"):
        await here.inquiry.ask(spend)
    with pytest.raises(DeadlineExceeded) as caught:
        await here.waiter.finished(spend, asyncio.Event(), float)

    assert caught.value.billed == "unknown"


async def test_a_lost_purchase_whose_key_cannot_be_used_here_is_not_given_up(tables: Tables) -> None:
    shop = house(tables)
    await shop.bring("key_1")
    spend = await shop.lost()
    here = house(tables, name=shop.name, sealing=safe(2))

    with pytest.raises(ProviderUnavailable, match="own key"):
        await here.buyer.lost.look_up(spend)


async def test_a_lost_purchase_that_is_not_in_the_account_of_a_newer_key_may_be_in_the_one_before(
    tables: Tables,
) -> None:
    shop = house(tables, look_up=ABSENT)
    await shop.bring("key_1")
    spend = await shop.lost()
    await shop.bring("key_2")

    word = await shop.inquiry.ask(spend)
    with pytest.raises(OutcomeUnknown):
        await shop.buyer.submitted(spend, a_purchase(spend), Wish())

    assert word.kind == "unknowable"
    async with tables.database.transaction() as session:
        assert (await session.get_one(Spend, spend.id)).state is SpendState.unknown
    assert [(made.key, made.sent) for made in shop.made] == [("key_2", [])]


async def test_a_lost_purchase_that_is_not_in_the_account_that_it_was_sent_in_is_made_again(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.accounts.SURELY_IN_USE_AFTER", timedelta(0))
    shop = house(tables, look_up=ABSENT, key_1=[JOB])
    await shop.bring("key_1")
    spend = await shop.lost()

    bought = await shop.buyer.submitted(spend, a_purchase(spend), Wish())

    assert (bought.state, bought.sends) == (SpendState.submitted, 2)


async def test_a_key_that_cannot_be_decrypted_here_is_refused(tables: Tables) -> None:
    shop = house(tables, sealing=safe(2))
    await shop.bring("key_1")

    with ended_by(ProviderCredentials):
        await shop.buy()


@pytest.mark.parametrize(("wrong", "told"), [(ProviderCredentials, OwnKeyRefused), (ProviderQuota, OwnAccountEmpty)])
async def test_what_is_wrong_with_a_tenants_account_is_told_as_the_tenants_and_does_not_open_the_breaker_for_all(
    tables: Tables, wrong: type[ProviderError], told: type[ProviderError]
) -> None:
    shop = house(tables, ours=[wrong(billed="no")], key_1=[wrong(billed="no")])
    await shop.bring("key_1")
    with ended_by(told):
        await shop.buy()
    own = await shop.breaker()

    await shop.take_away()
    with ended_by(wrong):
        await shop.buy()

    assert (own, await shop.breaker()) == (BreakerState.closed, BreakerState.open)


@pytest.mark.parametrize("error", [ProviderUnavailable(status=401), DeadlineExceeded()])
async def test_jobs_that_a_tenants_account_does_not_let_us_ask_about_do_not_open_the_breaker_for_all(
    tables: Tables, error: ProviderError
) -> None:
    shop = house(tables)
    await shop.bring("key_1")
    spend = await claimed(tables, await shop.order())

    for _ in range(RULES.failures):
        await shop.witness.unheard(spend, error)

    assert {await shop.breaker(), await shop.breaker(spend.model)} == {BreakerState.closed}


async def test_a_tenants_account_that_is_busy_does_not_hold_up_others(tables: Tables) -> None:
    shop = house(tables, key_1=[ProviderBusy(retry_after_s=0.01), JOB])
    await shop.bring("key_1")

    await shop.buy()

    async with tables.database.statement() as session:
        assert (await standings.read(session)).of(shop.name).busy_until is None


async def test_budgets_of_a_provider_count_only_the_services_own_money(tables: Tables) -> None:
    shop = house(tables)
    wanted = NewBudget(BudgetOf.provider, shop.name, Period.day, Decimal(1000), hard=True, tenant_id=None)
    async with tables.database.transaction() as session:
        budget = await budgets.set_(session, wanted)
    await claimed(tables, await shop.order())
    await shop.bring("key_1")
    spend = await claimed(tables, await shop.order())
    async with tables.database.transaction() as session:
        sent = await ledger.mark_sent(session, spend, window_s=1)
        await ledger.settle(session, sent, cost_usd=Decimal("0.03"))

    async with tables.database.transaction() as session:
        counted = await budget_figures.one(session, budget.budget.id)
        anew = await budgets.set_(session, wanted)

    ours = (await shop.order()).candidate.max_usd
    assert (counted.held_usd, counted.spent_usd) == (anew.held_usd, anew.spent_usd) == (ours, Decimal(0))
