"""Bugs to plant: each is one change of the source, small enough to be made by mistake, and each breaks a promise.

A change names the text that it replaces; when that text is not there exactly once any more, the test says so, and the
mutation must be written anew.
"""

from dataclasses import dataclass
from textwrap import dedent, indent
from typing import Final

from tests.crash.crew import OURS, WORKERS
from tests.crash.directions import (
    Direction,
    accepted_and_killed,
    bought_and_killed,
    canceled_while_waiting,
    deleting_and_killed,
    never_in_time,
    parked_killed_and_reopened,
    paused_before_sending,
    raw_and_killed,
    stored_and_killed,
    unknown_and_bought_again,
)
from tests.crash.trees import Change

WORKERS_ONLY: Final = frozenset({"activities", "workflows", "providers"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """`bug` says what is wrong then; `direction` is the short run that must show it."""

    bug: str
    file: str
    old: str
    new: str
    direction: Direction

    @property
    def change(self) -> Change:
        """What plants it."""
        return Change(self.file, self.old, self.new)

    @property
    def programs(self) -> frozenset[str]:
        """Those of ours that can have it."""
        package = self.file.partition("/")[0]
        return frozenset({"api"} if package == "api" else WORKERS if package in WORKERS_ONLY else OURS)


def _code(depth: int, text: str) -> str:
    return indent(dedent(text).strip("\n"), " " * 4 * depth)


MUTATIONS: Final = (
    Mutation(
        "the POST goes out before `sent` is committed",
        "activities/buying.py",
        _code(
            2,
            """
            async with self._database.statement("purchase.sent") as session:
                await ledger.mark_sent(session, spend, window_s=window_s)
            by = begun + self._rules.start_within_s
            """,
        ),
        _code(
            2,
            """
            by = begun + self._rules.start_within_s
            early = await provider.submit(replace(purchase, first_byte_by=by + provider.submit_timeout_s))
            async with self._database.statement("purchase.sent") as session:
                await ledger.mark_sent(session, spend, window_s=window_s)
            return early
            """,
        ),
        bought_and_killed,
    ),
    Mutation(
        "a purchase whose answer was lost is sent again without asking the provider",
        "activities/buying.py",
        _code(
            2,
            """
            if spend.state is SpendState.sent:
                spend = await self.lost.found_again(spend)
            """,
        ),
        _code(
            2,
            """
            if spend.state is SpendState.sent:
                async with self._database.transaction("purchase.absent") as session:
                    spend = await ledger.mark_unsent(session, spend)
            """,
        ),
        bought_and_killed,
    ),
    Mutation(
        "a step is remembered for the undoing only after it is done",
        "workflows/picture_step.py",
        "        self._saga.remember(plan.step)\n",
        "",
        canceled_while_waiting,
    ),
    Mutation(
        "a picture's row says deleted before its object is",
        "activities/keeping.py",
        "        await self.remove_object(asset.key)\n",
        _code(
            2,
            """
            async with self._database.transaction() as session:
                await assets.mark(session, asset_id, AssetState.deleted)
            await self.remove_object(asset.key)
            """,
        )
        + "\n",
        deleting_and_killed,
    ),
    Mutation(
        "a process that was paused sends although its time is over",
        "providers/purchase_call.py",
        "if self._first_byte_by is not None and time.monotonic() > self._first_byte_by:",
        "if self._first_byte_by is None:",
        paused_before_sending,
    ),
    Mutation(
        "an event is told in a transaction before the one that makes it true",
        "activities/keeping.py",
        "            await ledger.settle(session, spend, cost_usd=made.cost_usd",
        "        async with self._database.transaction() as session:\n"
        "            await ledger.settle(session, spend, cost_usd=made.cost_usd",
        stored_and_killed,
    ),
    Mutation(
        "the key of a request is not kept",
        "api/acceptance.py",
        "idempotency_key=demand.key,",
        "idempotency_key=None,",
        accepted_and_killed,
    ),
    Mutation(
        "what was promised for a generation counts against budgets beyond its end",
        "db/lives.py",
        "    row.hold_usd = still_promised(",
        "    row.hold_usd = row.hold_usd or still_promised(",
        accepted_and_killed,
    ),
    Mutation(
        "a hold is given back although the provider charges",
        "activities/buying.py",
        'if failure.billed == "no":',
        'if failure.billed != "unknown":',
        never_in_time,
    ),
    Mutation(
        "a synchronous answer is written down as bought before it is stored",
        "activities/keeping.py",
        _code(
            3,
            """
            stored = await self._store(row, answer.body, cost_usd=answer.cost_usd)
            return await self._answer_stored(spend, stored, answer.cost_usd)
            """,
        ),
        _code(
            3,
            """
            async with self._database.statement() as session:
                stored = await assets.announce(session, row)
            moved = await self._answer_stored(spend, stored, answer.cost_usd)
            await self._store(row, answer.body, cost_usd=answer.cost_usd)
            return moved
            """,
        ),
        raw_and_killed,
    ),
    Mutation(
        "a purchase that may be a duplicate is not marked as one",
        "workflows/picture_step.py",
        "possible_duplicate = possible_duplicate or unknown or failure is PurchaseReplaced",
        "possible_duplicate = False",
        unknown_and_bought_again,
    ),
    Mutation(
        "a run that is over closes the further run of its generation",
        "db/lives.py",
        "if row.status.is_final or row.run != closing.run:",
        "if row.status.is_final:",
        parked_killed_and_reopened,
    ),
)
