"""Purchases whose answer was lost: found again at the provider, or proved never to have been made, or unknown."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import structlog

from activities.accounts import Accounts
from activities.buying_rules import BuyingRules
from activities.keeping import Keeper, record_submitted
from activities.patience import until_written
from db import ledger, spend_lookup
from db.columns import now
from db.engine import Database
from db.ledger import JobTaken
from db.models import Spend
from errors import JobNotFound, OutcomeUnknown, ProviderCredentials, ProviderError, StorageUnavailable
from providers.base import ImageProvider, LostJob

log = structlog.get_logger(__name__)


class LostPurchases:
    """Looks for them; holds dependencies only."""

    def __init__(
        self, database: Database, providers: Mapping[str, ImageProvider], keeper: Keeper, rules: BuyingRules
    ) -> None:
        self._database = database
        self._accounts = Accounts.over(providers)
        self._keeper = keeper
        self._rules = rules

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
            except (ProviderError, StorageUnavailable):
                found = None  # it cannot say now; it will, and until then nothing may be bought instead
            if found and found.report:
                log.info("purchase.adopted", spend=str(spend.id), provider=spend.provider, look_up=look_up)
                return await self.submitted_as(spend, found.report.job_id)
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

        Raises ProviderUnavailable, ProviderUnreachable, ProviderBusy: it cannot say now, perhaps of the job that was named.
        """
        try:
            provider = await self._accounts.of(spend)
            elsewhere = await self._accounts.is_replaced_since(spend)
        except ProviderCredentials:  # of the tenant's own, and gone: nobody can ask any more
            return LostJob(None, conclusive=False)
        found = await self._by_notice(provider, spend) or await provider.find_lost(
            spend.token, spend.sent_at or spend.created_at
        )
        # It is not in this account; it may be in the one before.
        return replace(found, conclusive=False) if found.report is None and elsewhere else found

    async def _by_notice(self, provider: ImageProvider, spend: Spend) -> LostJob | None:
        """What a webhook knew of: its signature and our token in its URL say that it is ours, and the provider confirms it."""
        async with self._database.transaction() as session:
            job_id = await spend_lookup.job_named_in_notices(session, spend)
        if job_id is None:
            return None
        try:
            return LostJob(await provider.poll(job_id), conclusive=True)
        except JobNotFound:  # then the list has to say it
            return None

    async def submitted_as(self, spend: Spend, job_id: str) -> Spend:
        """sent -> submitted with the provider's id. Raises OutcomeUnknown, after the ledger has it: the job is another's."""

        async def write() -> Spend:
            async with self._database.transaction("purchase.submitted") as session:
                return await record_submitted(session, spend, job_id=job_id)

        try:
            return await until_written(write)
        except JobTaken:  # an operator gave it to another purchase: people have to look
            async with self._database.transaction("purchase.unknown") as session:
                await ledger.mark_unknown(session, spend)
            raise OutcomeUnknown from None
