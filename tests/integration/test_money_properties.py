"""Whatever happens to generations and purchases, in whichever order and at once: budgets count exactly what the rows say."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import col, select

from contracts.budgets import BudgetOf, Period
from contracts.pictures import Candidate, Closing
from contracts.statuses import Billed, SpendState, Status
from db import budgets, corrections, ledger, lives, promises, reviews
from db.budget_figures import BudgetState
from db.budgets import NewBudget
from db.models import ApiKey, Generation, Spend
from db.protection_models import ProviderCredential
from errors import (
    BudgetExhausted,
    DatabaseUnavailable,
    LeaseLost,
    NotFound,
    PromiseExhausted,
    ProviderBudgetExhausted,
)
from tests.budget_counts import read_counts
from tests.integration.conftest import Tables
from tests.integration.test_ledger import PROMPT, a_generation, an_order

# What may happen, each with two numbers from 0 to 9 that say to whom, and how much.
MOVES = (
    *("accept", "accept", "claim", "claim", "send", "settle", "release", "lose", "close"),
    *("review", "reopen", "decide", "verify", "budget", "remove"),
)
# A deadlock: one of the two was ended, and asks again. More than so often in a row is none.
MET_BADLY, TRIES = "40P01", 20
move = st.tuples(st.sampled_from(MOVES), st.integers(0, 9), st.integers(0, 9))
# Moves of one list are made at once.
story = st.lists(st.lists(move, min_size=1, max_size=6), min_size=3, max_size=20)

END_ALL = "update budget set removed_at = now() where removed_at is null"


@dataclass
class Book:
    """A tenant with a key that nobody else has, two providers, and a third with a key of its own; and all that happened to it."""

    tables: Tables
    key_id: str = field(default_factory=lambda: uuid4().hex[:12])
    providers: list[str] = field(default_factory=lambda: [uuid4().hex for _ in range(3)])
    generations: list[UUID] = field(default_factory=list)
    purchases: dict[UUID, int] = field(default_factory=dict)
    states: dict[UUID, BudgetState] = field(default_factory=dict)

    async def begin(self) -> None:
        async with self.tables.database.transaction() as session:
            await (await session.connection()).execute(text(END_ALL))
            session.add(ApiKey(id=self.key_id, tenant_id=self.tables.tenant_id, name="", digest=b""))
            own = ProviderCredential(
                tenant_id=self.tables.tenant_id,
                provider=self.providers[2],
                sealed=b"",
                nonce=b"",
                sealed_by="",
                hint="",
            )
            session.add(own)

    async def play(self, name: str, which: int, amount: int) -> None:
        """One move; one that is not possible now changes nothing.

        Two that bought at the same providers in another order may have met badly: like everybody, it is done again.
        """
        refused = (BudgetExhausted, PromiseExhausted, ProviderBudgetExhausted, LeaseLost)
        for _ in range(TRIES):
            with suppress(*refused):
                try:
                    await self._once(name, which, amount)
                except DatabaseUnavailable as error:
                    if getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) != MET_BADLY:
                        raise
                    continue
            return
        raise AssertionError("it never went through")

    async def _once(self, name: str, which: int, amount: int) -> None:
        if name == "accept":
            await self._accept(Decimal(amount + 1) / 10)
        elif name in {"budget", "remove"}:
            await getattr(self, f"_{name}")(which, amount)
        elif self.generations:
            await getattr(self, f"_{name}")(self.generations[which % len(self.generations)], amount)

    async def _accept(self, usd: Decimal) -> None:
        row = await a_generation(self.tables, key_id=self.key_id, quote_max_usd=usd, hold_usd=usd)
        self.generations.append(row.id)

    async def _budget(self, which: int, amount: int) -> None:
        of = list(BudgetOf)[which % 4]
        owners = {BudgetOf.key: self.key_id, BudgetOf.tenant: str(self.tables.tenant_id)}
        owner = owners.get(of, self.providers[amount % 3] if of is BudgetOf.provider else "")
        period, limit = list(Period)[which % 2], Decimal(amount) / 2
        wanted = NewBudget(of, owner, period, limit, hard=amount % 3 > 0, tenant_id=None)
        async with self.tables.database.transaction() as session:
            state = await budgets.set_(session, wanted)
        self.states[state.budget.id] = state

    async def _remove(self, which: int, _amount: int) -> None:
        if self.states:
            chosen = list(self.states)[which % len(self.states)]
            with suppress(NotFound):  # another one took its place
                async with self.tables.database.transaction() as session:
                    await budgets.remove(session, chosen, tenant_id=None)

    async def _claim(self, generation_id: UUID, amount: int) -> None:
        async with self.tables.database.transaction() as session:
            await lives.open_(session, await lives.read(session, generation_id, lock=True))
        async with self.tables.database.transaction() as session:
            row = await lives.read(session, generation_id, hold=True)
            if row.status.is_final:
                return
            self.purchases[generation_id] = purchase = self.purchases.get(generation_id, -1) + 1
            usd = Decimal(amount + 1) / 20
            provider = self.providers[amount % 3]
            candidate = Candidate(
                provider=provider, model="m", max_usd=usd, likely_usd=usd / 2, unknown_policy="review"
            )
            order = an_order(row, purchase).model_copy(update={"candidate": candidate})
            if amount > 4:  # in the place of what may have been bought
                await promises.lock(session, generation_id)
                await ledger.replace_earlier(session, order)
            await ledger.claim(session, order, PROMPT)

    async def _spends(self, session: Any, generation_id: UUID, *states: SpendState) -> Sequence[Spend]:
        """Under the lock of the generation, as everybody has it who changes them late."""
        await corrections.locked(session, generation_id)
        query = select(Spend).where(Spend.generation_id == generation_id, col(Spend.state).in_(states))
        found: Sequence[Spend] = (await session.exec(query.order_by(col(Spend.id)))).all()
        return found

    async def _send(self, generation_id: UUID, _amount: int) -> None:
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.held):
                await ledger.mark_sent(session, spend, window_s=0)

    async def _settle(self, generation_id: UUID, amount: int) -> None:
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.sent):
                await ledger.settle(session, spend, cost_usd=spend.hold_usd * amount / 9)

    async def _release(self, generation_id: UUID, _amount: int) -> None:
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.held, SpendState.sent):
                await ledger.release(session, spend, error_code="a_test")

    async def _lose(self, generation_id: UUID, _amount: int) -> None:
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.sent):
                await ledger.mark_unknown(session, spend)

    async def _close(self, generation_id: UUID, _amount: int) -> None:
        await self._ended(generation_id, "failed")

    async def _review(self, generation_id: UUID, _amount: int) -> None:
        await self._ended(generation_id, "needs_review")

    async def _ended(self, generation_id: UUID, outcome: Any) -> None:
        async with self.tables.database.transaction() as session:
            row = await lives.read(session, generation_id, lock=True)
            if outcome == "needs_review":
                await lives.open_(session, row)
            await lives.close(session, Closing(generation_id=generation_id, run=row.run, outcome=outcome))

    async def _reopen(self, generation_id: UUID, _amount: int) -> None:
        async with self.tables.database.transaction() as session:
            await lives.reopen(session, generation_id, "a_test")

    async def _decide(self, generation_id: UUID, amount: int) -> None:
        """As an operator does: what may have been bought counts with a part of what was held."""
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.unknown):
                cost = spend.hold_usd * amount / 9
                await ledger.settle(session, spend, cost_usd=cost, billed=Billed.unknown, error_code="purchase_lost")
            if not await reviews.undecided(session, generation_id):
                row = await corrections.locked(session, generation_id)
                if row.status is Status.needs_review:
                    await lives.reopen(session, generation_id, "operator_decided")

    async def _verify(self, generation_id: UUID, amount: int) -> None:
        """A provider says late that it was less."""
        async with self.tables.database.transaction() as session:
            for spend in await self._spends(session, generation_id, SpendState.settled):
                if spend.billed is Billed.unknown:
                    cost = (spend.cost_usd or Decimal(0)) * amount / 9
                    await corrections.verify(session, spend, billed=Billed.yes, cost_usd=cost)
            await corrections.correct_cost(session, await corrections.locked(session, generation_id))

    async def check(self) -> None:
        """What every budget counts is the sum over the rows, and hard ones are not passed."""
        async with self.tables.database.transaction() as session:
            counts = await read_counts(session)
        for count in counts:
            state, (held, spent) = self.states[count.budget_id], count.counted
            assert count.counted == count.rows, state
            assert held >= 0
            if state.budget.hard:
                assert held + spent <= max(state.budget.limit_usd, state.held_usd + state.spent_usd), state

    async def end(self) -> None:
        """All that was begun ends; then nothing may be held."""
        for generation_id in self.generations:
            await self._decide(generation_id, 9)
            await self._ended(generation_id, "failed")
        await self.check()
        async with self.tables.database.transaction() as session:
            rows = (await session.exec(select(Generation).where(Generation.key_id == self.key_id))).all()
            assert {row.hold_usd for row in rows} <= {Decimal(0)}
            await (await session.connection()).execute(text(END_ALL))


@given(story)
@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_budgets_count_what_the_rows_say_and_hard_ones_are_never_passed(
    tables: Tables, story: list[list[tuple[str, int, int]]]
) -> None:
    book = Book(tables)
    await book.begin()
    await book.play("budget", 0, 8)
    await book.play("budget", 3, 4)
    for at_once in story:
        await asyncio.gather(*(book.play(*one) for one in at_once))
        await book.check()
    await book.end()
