"""Buy a picture, once: the two verbs *claim* and *submit*, and the way back when an answer was lost.

The order is the point. A spend is `held` before anything is sent, `sent` is committed as the last thing before the POST, and
the provider's id right after it. A row that is `sent` without an id is never sent again before the provider has been asked,
and then only when the time in which the first POST could still arrive is over.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import structlog

from activities.cancellation import Wish, to_its_end
from activities.failures import PurchaseEnded
from activities.keeping import Keeper, record_submitted
from activities.patience import until_written
from contracts.statuses import Billed, SpendState
from db import ledger, spend_lookup
from db.engine import Database
from db.models import Spend, now
from errors import (
    DeadlineExceeded,
    LeaseLost,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderUnavailable,
    ProviderUnreachable,
    StorageError,
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
    connect_attempts: int = 5
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

    async def submitted(self, spend: Spend, purchase: Purchase, wish: Wish) -> Spend:
        """The spend, bought. Raises PurchaseEnded with the provider's refusal, after the ledger has it."""
        if spend.state is SpendState.sent:
            spend = await self.found_again(spend)
        failures = 0
        while spend.state is SpendState.held:
            await self._stop_when_late(spend)
            try:
                spend = await self._send(spend, purchase, wish)
            except ProviderUnreachable as error:
                failures += 1
                spend = await self._wait_or_give_up(spend, error, failures, delay_s=0.5 * 2**failures)
            except ProviderBusy as error:  # not an attempt: the provider said when to come again
                spend = await self._wait_or_give_up(spend, error, 0, delay_s=error.retry_after_s)
            except OutcomeUnknown:
                log.warning("purchase.answer_lost", spend=str(spend.id), provider=spend.provider)
                spend = await self.found_again(await self._reread(spend))
        return spend

    async def found_again(self, spend: Spend) -> Spend:
        """sent -> submitted when the provider knows the purchase, -> held when it provably does not.

        Raises OutcomeUnknown, after the ledger has it, when nobody can say.
        """
        provider = self._providers[spend.provider]
        asked_until = max(spend.deadline_at, spend.lease_until) + timedelta(seconds=self._rules.ask_on_s)
        look_up = 0
        while look_up == 0 or now() < asked_until:
            look_up += 1
            async with self._database.transaction() as session:
                window_is_over = await ledger.window_is_over(session, spend)
            try:
                found = await self._by_notice(spend) or await provider.find_lost(
                    spend.token, spend.sent_at or spend.created_at
                )
            except (ProviderUnavailable, ProviderUnreachable, ProviderBusy):
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
        self, spend: Spend, failure: ProviderError, *, code: str | None = None, cost_usd: Decimal | None = None
    ) -> None:
        """Give the hold back, or settle when the provider charges for the failure.

        `code` says why, if not `failure`; `cost_usd` is what the provider said, if it did, else all that was held.
        """
        code = code or failure.code
        cost = next(known for known in (cost_usd, spend.cost_usd, spend.hold_usd) if known is not None)

        async def write() -> None:
            async with self._database.transaction("purchase.ended") as session:
                if failure.billed == "no":
                    await ledger.release(session, spend, error_code=code)
                else:
                    billed = Billed(failure.billed)
                    await ledger.settle(session, spend, cost_usd=cost, billed=billed, error_code=code)

        await until_written(write)

    async def _send(self, spend: Spend, purchase: Purchase, wish: Wish) -> Spend:
        provider = self._providers[spend.provider]
        left_s = max(5, int((spend.deadline_at - now()).total_seconds()))
        fresh = replace(purchase, deadline_s=left_s)
        # Cutting a purchase in two would lose what we pay for. A synchronous one lasts minutes: there the client may, and
        # a worker that stops must not, give it up.
        cut_by = wish if provider.synchronous else None
        return await to_its_end(lambda: self._post_and_record(provider, spend, fresh), cut_by=cut_by)

    async def _post_and_record(self, provider: ImageProvider, spend: Spend, purchase: Purchase) -> Spend:
        answer = await self._post(provider, spend, purchase)
        if isinstance(answer, FinishedPicture):
            return await self._keeper.keep_raw(spend, answer)
        return await self._submitted_as(spend, answer.job_id)

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
            await self.end_without_picture(spend, refusal)
            raise PurchaseEnded(refusal) from refusal

    async def _take_back(self, spend: Spend) -> None:
        async with self._database.transaction("purchase.taken_back") as session:
            await ledger.mark_unsent(session, spend, left_us=False)

    async def _submitted_as(self, spend: Spend, job_id: str) -> Spend:
        async def write() -> Spend:
            async with self._database.transaction("purchase.submitted") as session:
                return await record_submitted(session, spend, job_id=job_id)

        return await until_written(write)

    async def _reread(self, spend: Spend) -> Spend:
        async with self._database.transaction() as session:
            return await ledger.same_lease(session, spend)

    async def _stop_when_late(self, spend: Spend) -> None:
        late: ProviderError | None = None
        if now() >= spend.deadline_at:
            late = DeadlineExceeded(billed="no")
        elif spend.sends >= self._rules.sends:  # every answer was lost, and nothing was ever bought
            late = ProviderUnavailable(billed="no")
        if late:
            await self.end_without_picture(spend, late)
            raise PurchaseEnded(late)

    async def _wait_or_give_up(self, spend: Spend, error: ProviderError, failures: int, *, delay_s: float) -> Spend:
        left_s = (spend.deadline_at - now()).total_seconds()
        if failures >= self._rules.connect_attempts or delay_s > left_s:
            await self.end_without_picture(spend, error)
            raise PurchaseEnded(error) from error
        log.info("purchase.later", provider=spend.provider, code=error.code, delay_s=round(delay_s, 1))
        await asyncio.sleep(max(delay_s, self._rules.shortest_pause_s) * random.uniform(1.0, 1.2))
        return await self._reread(spend)
