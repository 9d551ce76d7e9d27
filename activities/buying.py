"""Buy a picture, once: the two verbs *claim* and *submit*, and the way back when an answer was lost.

The order is the point. A spend is `held` before anything is sent, `sent` is committed as the last thing before the POST, and
the provider's id right after it. A row that is `sent` without an id is never sent again before the provider has been asked,
and then only when the time in which the first POST could still arrive is over.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, NoReturn

import structlog

from activities.cancellation import Wish, to_its_end
from activities.failure_memory import facts_to_keep
from activities.failures import PurchaseEnded
from activities.keeping import Keeper, record_submitted
from activities.patience import until_written
from contracts.statuses import Billed, SpendState
from db import ledger, spend_lookup
from db.columns import now
from db.engine import Database
from db.ledger import JobTaken
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
    StorageUnavailable,
)
from providers.base import FinishedPicture, ImageProvider, JobReport, LostJob, Purchase

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BuyingRules:
    """How patient a purchase is. Seconds."""

    # From the commit of `sent` to the first byte of the POST: a process that was paused longer must not send any more.
    start_within_s: float = 5.0
    # Providers may need a moment until a job shows up in their list.
    list_lag_s: float = 5.0
    look_up_every_s: float = 1.0
    # How long after the deadline a lost purchase is still looked for, at a provider that does not answer.
    ask_on_s: float = 60.0
    shortest_pause_s: float = 0.5
    longest_pause_s: float = 10.0
    # How often a provider that cannot be reached is tried before the next candidate is; the last one has up to its deadline.
    connect_attempts: int = 2
    sends: int = 3  # how often a purchase may go out whose answers are lost


class Buyer:
    """Brings a claimed spend to `submitted`."""

    def __init__(
        self, database: Database, providers: Mapping[str, ImageProvider], keeper: Keeper, rules: BuyingRules
    ) -> None:
        self._database = database
        self._providers = providers
        self._keeper = keeper
        self._rules = rules

    async def submitted(self, spend: Spend, purchase: Purchase, wish: Wish, *, alternatives: int = 0) -> Spend:
        """The spend, bought. Raises PurchaseEnded with the provider's refusal, after the ledger has it.

        `alternatives`: how many other candidates could make the picture, should this one not be reached.
        """
        if spend.state is SpendState.sent:
            spend = await self.found_again(spend)
        failures = 0
        refused: ProviderError | None = None
        while spend.state is SpendState.held:
            await self._stop_when_late(spend, refused)
            try:
                spend = await self._send(spend, purchase, wish)
            except ProviderUnreachable as error:
                failures, refused = failures + 1, error
                if alternatives and failures >= self._rules.connect_attempts:
                    await self._give_up(spend, error)
                spend = await self._wait_or_give_up(spend, error, min(2**failures / 2, self._rules.longest_pause_s))
            except ProviderBusy as error:
                refused = error
                spend = await self._wait_or_give_up(spend, error, error.retry_after_s)
            except OutcomeUnknown:
                log.warning("purchase.answer_lost", spend=str(spend.id), provider=spend.provider)
                spend = await self.found_again(await self._reread(spend))
        return spend

    async def found_again(self, spend: Spend) -> Spend:
        """sent -> submitted when the provider knows the purchase, -> held when it provably does not.

        Raises OutcomeUnknown, after the ledger has it, when nobody can say.
        """
        asked_until = max(spend.deadline_at, spend.lease_until) + timedelta(seconds=self._rules.ask_on_s)
        look_up = 0
        while look_up == 0 or now() < asked_until:
            look_up += 1
            async with self._database.transaction() as session:
                window_is_over = await ledger.window_is_over(session, spend)
            try:
                if kept := await self._keeper.found_raw(spend):
                    log.info("purchase.answer_found", spend=str(spend.id), provider=spend.provider, look_up=look_up)
                    return kept
                found = await self.look_up(spend)
            except (ProviderUnavailable, ProviderUnreachable, ProviderBusy, StorageUnavailable):
                found = None  # it cannot say now; it will
            if found and found.report:
                log.info("purchase.adopted", spend=str(spend.id), provider=spend.provider, look_up=look_up)
                return await self._submitted_as(spend, found.report.job_id)
            if found and not found.conclusive:
                break
            if found and window_is_over:
                async with self._database.transaction("purchase.absent") as session:
                    return await ledger.mark_unsent(session, spend)
            await asyncio.sleep(min(self._rules.look_up_every_s * look_up, 10) * random.uniform(0.8, 1.2))
        async with self._database.transaction("purchase.unknown") as session:
            await ledger.mark_unknown(session, spend)
        raise OutcomeUnknown

    async def look_up(self, spend: Spend) -> LostJob:
        """Ask the provider once for this purchase: for the job that a webhook named, else for our token.

        Raises ProviderUnavailable, ProviderUnreachable, ProviderBusy: it cannot say now.
        """
        provider = self._providers[spend.provider]
        return await self._by_notice(spend) or await provider.find_lost(spend.token, spend.sent_at or spend.created_at)

    async def _by_notice(self, spend: Spend) -> LostJob | None:
        """What a webhook knew of: its signature and our token in its URL say that it is ours, and the provider confirms it."""
        async with self._database.transaction() as session:
            job_id = await spend_lookup.job_named_in_notices(session, spend)
        if job_id is None:
            return None
        try:
            return LostJob(await self._providers[spend.provider].poll(job_id), conclusive=True)
        except ProviderError:  # then the list has to say it
            return None

    async def end_without_picture(
        self, spend: Spend, failure: DioramaError, *, code: str | None = None, cost_usd: Decimal | None = None
    ) -> None:
        """Give the hold back, or settle when the provider charges for the failure.

        `code` says why, if not `failure`; `cost_usd` is what the provider said, if it did, else the catalog's price counts.
        """
        code = code or failure.code
        facts = facts_to_keep(failure) if code == failure.code else None
        prices = (cost_usd, spend.cost_usd, spend.likely_usd, spend.hold_usd)
        cost = next(known for known in prices if known is not None)

        async def write() -> None:
            async with self._database.transaction("purchase.ended") as session:
                if failure.billed == "no":
                    await ledger.release(session, spend, error_code=code, error_facts=facts)
                else:
                    how: Any = {"billed": Billed(failure.billed), "error_code": code, "error_facts": facts}
                    await ledger.settle(session, spend, cost_usd=cost, **how)

        await until_written(write)

    async def _send(self, spend: Spend, purchase: Purchase, wish: Wish) -> Spend:
        provider = self._providers[spend.provider]
        if not provider.synchronous:
            return await self._send_now(provider, spend, purchase, wish)
        async with AsyncExitStack() as passed:
            try:
                await passed.enter_async_context(self._keeper.gate.passed(spend.deadline_at))
            except TimeoutError:
                await self._give_up(spend, DeadlineExceeded(billed="no"))
            except StorageError as error:
                await self._give_up(spend, error)
            return await self._send_now(provider, spend, purchase, wish)

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
        return await self._submitted_as(spend, answer.job_id)

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
        try:
            return await provider.submit(replace(purchase, first_byte_by=by + provider.submit_timeout_s))
        except OutcomeUnknown:
            raise
        except (ProviderUnreachable, ProviderBusy, StorageError):
            await until_written(lambda: self._take_back(spend))
            raise
        except ProviderError as refusal:
            await self._give_up(spend, refusal)

    async def _take_back(self, spend: Spend) -> None:
        async with self._database.transaction("purchase.taken_back") as session:
            await ledger.mark_unsent(session, spend, left_us=False)

    async def _submitted_as(self, spend: Spend, job_id: str) -> Spend:
        async def write() -> Spend:
            async with self._database.transaction("purchase.submitted") as session:
                return await record_submitted(session, spend, job_id=job_id)

        try:
            return await until_written(write)
        except JobTaken:  # an operator gave it to another purchase: people have to look
            async with self._database.transaction("purchase.unknown") as session:
                await ledger.mark_unknown(session, spend)
            raise OutcomeUnknown from None

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

    async def _give_up(self, spend: Spend, error: DioramaError, *, cost_usd: Decimal | None = None) -> NoReturn:
        await self.end_without_picture(spend, error, cost_usd=cost_usd)
        raise PurchaseEnded(error) from error

    async def _wait_or_give_up(self, spend: Spend, error: ProviderError, delay_s: float) -> Spend:
        if delay_s > (spend.deadline_at - now()).total_seconds():
            await self._give_up(spend, error)
        log.info("purchase.later", provider=spend.provider, code=error.code, delay_s=round(delay_s, 1))
        await asyncio.sleep(max(delay_s, self._rules.shortest_pause_s) * random.uniform(1.0, 1.2))
        return await self._reread(spend)
