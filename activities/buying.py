"""Buy a picture, once: the two verbs *claim* and *submit*, and the way back when an answer was lost.

The order is the point. A spend is `held` before anything is sent, `sent` is committed as the last thing before the POST, and
the provider's id right after it. A row that is `sent` without an id is never sent again before the provider has been asked,
and then only when the time in which the first POST could still arrive is over.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn

import structlog

from activities.accounts import Accounts, in_whose_account
from activities.buying_rules import BuyingRules
from activities.cancellation import Wish, to_its_end
from activities.failure_memory import facts_to_keep
from activities.failures import PurchaseEnded
from activities.keeping import Keeper
from activities.lost_purchases import LostPurchases
from activities.patience import until_written
from activities.purchase_gate import SHORT_WAIT_S, PurchaseGate
from activities.witness import Witness
from contracts.statuses import Billed, SpendState
from db import ledger
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import (
    DeadlineExceeded,
    DioramaError,
    GenerationCanceled,
    LeaseLost,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderUnavailable,
    ProviderUnreachable,
    StorageError,
)
from providers.base import FinishedPicture, ImageProvider, JobReport, Purchase

log = structlog.get_logger(__name__)


class Buyer:
    """Brings a claimed spend to `submitted`. Without a gate all providers are taken to stand well."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, ImageProvider],
        keeper: Keeper,
        rules: BuyingRules,
        *,
        gate: PurchaseGate | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._database = database
        self._accounts = Accounts.over(providers)
        self._keeper = keeper
        self._rules = rules
        self.lost = LostPurchases(database, providers, keeper, rules)
        self._gate = gate
        self._witness = witness

    async def submitted(self, spend: Spend, purchase: Purchase, wish: Wish, *, alternatives: int = 0) -> Spend:
        """The spend, bought. Raises PurchaseEnded with the provider's refusal, after the ledger has it.

        `alternatives`: how many other candidates could make the picture, should this one not be reached.
        """
        if spend.state is SpendState.sent:
            spend = await self.lost.found_again(spend)
        failures = 0
        refused: ProviderError | None = None
        while spend.state is SpendState.held:
            await self._stop_when_late(spend, refused)
            try:
                spend = await self._send(spend, purchase, wish, alternatives=alternatives, refused=refused)
            except ProviderUnreachable as error:
                failures, refused = failures + 1, error
                await self._tell(spend, error)
                if alternatives and failures >= self._rules.connect_attempts:
                    await self._give_up(spend, error)
                delay_s = min(2**failures / 2, self._rules.longest_pause_s)
                spend = await self._wait_or_give_up(spend, error, delay_s, alternatives)
            except ProviderBusy as error:
                refused = error
                await self._tell(spend, error)
                spend = await self._wait_or_give_up(spend, error, error.retry_after_s, alternatives)
            except OutcomeUnknown as error:
                log.warning("purchase.answer_lost", spend=str(spend.id), provider=spend.provider)
                await self._tell(spend, error)
                spend = await self.lost.found_again(await self._reread(spend))
                if spend.state is SpendState.held:  # proved: it never arrived, and so it may be bought elsewhere, too
                    failures, refused = failures + 1, ProviderUnavailable(billed="no")
                    if alternatives and failures >= self._rules.connect_attempts:
                        await self._give_up(spend, refused)
        return spend

    async def end_without_picture(
        self, spend: Spend, failure: DioramaError, *, code: str | None = None, cost_usd: Decimal | None = None
    ) -> None:
        """Give the hold back, or settle when the provider charges for the failure.

        `code` says why, if not `failure`; `cost_usd` is what the provider said, if it did. Else what is known of the failure
        or of the purchase counts, and then the catalog's price.
        """
        code = code or failure.code
        facts = facts_to_keep(failure) if code == failure.code else None
        prices = (cost_usd, failure.cost_usd, spend.cost_usd, spend.likely_usd, spend.hold_usd)
        cost = next(known for known in prices if known is not None)

        async def write() -> None:
            async with self._database.transaction("purchase.ended") as session:
                if failure.billed == "no":
                    await ledger.release(session, spend, error_code=code, error_facts=facts)
                else:
                    how: Any = {"billed": Billed(failure.billed), "error_code": code, "error_facts": facts}
                    await ledger.settle(session, spend, cost_usd=cost, **how)

        await until_written(write)

    async def _send(
        self, spend: Spend, purchase: Purchase, wish: Wish, *, alternatives: int, refused: ProviderError | None
    ) -> Spend:
        async with AsyncExitStack() as passed:
            try:
                provider = await self._accounts.of(spend)
                await passed.enter_async_context(self._gates(provider, spend, alternatives))
                provider = await self._accounts.of(spend)  # its tenant's key may have been replaced in the meantime
            except TimeoutError:
                await self._give_up(spend, DeadlineExceeded(billed="no"))
            except (ProviderError, StorageError) as error:
                await self._give_up(spend, error)
            await self._stop_when_late(spend, refused)  # it may have waited for a long time
            return await self._send_now(provider, spend, purchase, wish)

    def _gates(self, provider: ImageProvider, spend: Spend, alternatives: int) -> AbstractAsyncContextManager[None]:
        """Where the answer is the picture, the store must take it, too."""
        room = partial(self._keeper.gate.passed, spend.deadline_at) if provider.synchronous else nullcontext
        return room() if self._gate is None else self._gate.passed(spend, alternatives=alternatives, room=room)

    async def _send_now(self, provider: ImageProvider, spend: Spend, purchase: Purchase, wish: Wish) -> Spend:
        left_s = max(5, int((spend.deadline_at - now()).total_seconds()))
        fresh = replace(purchase, deadline_s=left_s)
        # Cutting a purchase in two would lose what we pay for. A synchronous one lasts minutes: there the client may, and
        # a worker that stops must not, give it up.
        cut_by = wish if provider.synchronous else None
        return await to_its_end(lambda: self._post_and_record(provider, spend, fresh), cut_by=cut_by)

    async def _post_and_record(self, provider: ImageProvider, spend: Spend, purchase: Purchase) -> Spend:
        answer = await self._post(provider, spend, purchase)
        if isinstance(answer, FinishedPicture):
            return await self._kept_or_lost(spend, answer)
        return await self.lost.submitted_as(spend, answer.job_id)

    async def _kept_or_lost(self, spend: Spend, answer: FinishedPicture) -> Spend:
        """A picture that was paid and cannot be kept is told as just that: it is not bought again."""
        try:
            return await self._keeper.keep_raw(spend, answer)
        except StorageError as error:
            error.billed = "yes"
            await self._give_up(spend, error, cost_usd=answer.cost_usd)
        except asyncio.CancelledError:  # the client gave it up while it waited for the store
            paid = ProviderError(billed="yes")
            await self.end_without_picture(spend, paid, code=GenerationCanceled.code, cost_usd=answer.cost_usd)
            raise

    async def _post(self, provider: ImageProvider, spend: Spend, purchase: Purchase) -> JobReport | FinishedPicture:
        begun = time.monotonic()
        window_s = self._rules.start_within_s + provider.submit_timeout_s + self._rules.list_lag_s
        async with self._database.statement("purchase.sent") as session:
            await ledger.mark_sent(session, spend, window_s=window_s)
        by = begun + self._rules.start_within_s
        if time.monotonic() > by:
            raise LeaseLost  # paused in between: whoever comes next looks it up and finds nothing
        if self._witness is not None:
            self._witness.sent(spend)
        try:
            return await provider.submit(replace(purchase, first_byte_by=by + provider.submit_timeout_s))
        except OutcomeUnknown:
            raise
        except (ProviderUnreachable, ProviderBusy, StorageError):
            await until_written(lambda: self._take_back(spend))
            raise
        except ProviderError as refusal:
            await self._give_up(spend, in_whose_account(spend, refusal))

    async def _take_back(self, spend: Spend) -> None:
        async with self._database.transaction("purchase.taken_back") as session:
            await ledger.mark_unsent(session, spend, left_us=False)

    async def _reread(self, spend: Spend) -> Spend:
        async with self._database.transaction() as session:
            return await ledger.same_lease(session, spend)

    async def _stop_when_late(self, spend: Spend, refused: ProviderError | None) -> None:
        late: ProviderError | None = None
        if now() >= spend.deadline_at:  # why it could not be bought all the time says more than that it is late
            late = refused or DeadlineExceeded(billed="no")
        elif spend.sends >= self._rules.sends:  # every answer was lost, and nothing was ever bought
            late = ProviderUnavailable(billed="no")
        if late:
            await self._give_up(spend, late)

    async def _tell(self, spend: Spend, error: ProviderError) -> None:
        if self._witness is not None:
            await self._witness.failed(spend, error)

    async def _give_up(self, spend: Spend, error: DioramaError, *, cost_usd: Decimal | None = None) -> NoReturn:
        await self.end_without_picture(spend, error, cost_usd=cost_usd)
        raise PurchaseEnded(error) from error

    async def _wait_or_give_up(self, spend: Spend, error: ProviderError, delay_s: float, alternatives: int) -> Spend:
        left_s = (spend.deadline_at - now()).total_seconds()
        if delay_s > (min(left_s, SHORT_WAIT_S) if alternatives else left_s):
            await self._give_up(spend, error)
        log.info("purchase.later", provider=spend.provider, code=error.code, delay_s=round(delay_s, 1))
        pause_s = max(delay_s, self._rules.shortest_pause_s) * random.uniform(1.0, 1.2)
        await asyncio.sleep(min(pause_s, left_s))
        return await self._reread(spend)
