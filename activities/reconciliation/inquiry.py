"""Asking a provider about a purchase of which the ledger does not know how it ended, and what that means in money."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from activities.accounts import Accounts
from activities.buying import Buyer
from activities.waiting import Waiter
from contracts.statuses import Billed, SpendState
from db import ledger, reviews
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import JobCanceled, ProviderError, ProviderUnavailable
from providers.base import ImageProvider, JobReport


@dataclass(frozen=True, slots=True)
class Word:
    """What is known of a purchase.

    `never_made`: the provider certainly has nothing of it. `report`: its job. `unknowable`: nobody can ever say.
    `paid`: a synchronous provider delivered it.
    """

    kind: Literal["never_made", "job", "unknowable", "paid"]
    report: JobReport | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """What a purchase costs (USD), as far as the provider's word goes."""

    billed: Billed
    cost_usd: Decimal


def bill_of(report: JobReport, spend: Spend) -> Bill:
    """The bill for a job that has ended; what was expected counts where the provider names no sum."""
    expected = next(known for known in (report.cost_usd, spend.likely_usd, spend.hold_usd) if known is not None)
    if report.state == "succeeded":
        return Bill(Billed.yes, expected)
    billed = Billed((report.failure or JobCanceled()).billed)
    return Bill(billed, Decimal(0) if billed is Billed.no else expected)


class Inquiry:
    """Asks once, and stops what still runs. Every method raises the providers' errors when they cannot say now."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, ImageProvider],
        buyer: Buyer,
        waiter: Waiter,
        remembers: timedelta,
    ) -> None:
        self._database = database
        self._accounts = Accounts.over(providers)
        self._buyer = buyer
        self._waiter = waiter
        self._remembers = remembers

    @property
    def with_jobs(self) -> dict[str, ImageProvider]:
        """The providers whose jobs can be asked for."""
        return {name: provider for name, provider in self._accounts.items() if not provider.synchronous}

    def can_tell(self, spend: Spend) -> bool:
        """Whether the provider may still know of this purchase."""
        if spend.provider not in self.with_jobs:
            return False
        recent = spend.sent_at is not None and now() - spend.sent_at < self._remembers
        return recent or spend.provider_job_id is not None

    async def ask(self, spend: Spend) -> Word:
        """What became of a purchase: its job as it stands, nothing, or that nobody can say."""
        if spend.state is SpendState.held:
            return Word("never_made")
        if spend.raw_asset_id is not None:
            return Word("paid")
        # A job that an unknown purchase once had was not its job: it is looked for anew.
        if spend.provider_job_id is not None and spend.state is not SpendState.unknown:
            return await self._about_job(spend, spend.provider_job_id)
        if spend.provider not in self.with_jobs:
            return Word("unknowable")
        found = await self._buyer.lost.look_up(spend)
        if found.report is not None:
            is_ours = not await self._is_of_another(spend, found.report)
            return Word("job", found.report) if is_ours else Word("unknowable")
        if not found.conclusive:
            return Word("unknowable")
        async with self._database.transaction() as session:
            if not await ledger.window_is_over(session, spend):
                raise ProviderUnavailable("It may still be on its way to the provider.")
        return Word("never_made")

    async def ended(self, spend: Spend, report: JobReport) -> JobReport:
        """The last report of a job in the purchase's account, after it was stopped if it still ran. ProviderUnavailable when it takes its time."""
        if not report.is_final:
            report = await self._waiter.job_stopped(spend, report.job_id)
        if not report.is_final:
            raise ProviderUnavailable("It was asked to stop and has not stopped yet.")
        return report

    async def _is_of_another(self, spend: Spend, report: JobReport) -> bool:
        """Whether an operator gave the job that carries our token to another purchase."""
        async with self._database.transaction() as session:
            owner = await reviews.owner_of(session, spend.provider, report.job_id)
        return owner not in {None, spend.id}

    async def _about_job(self, spend: Spend, job_id: str) -> Word:
        try:
            return Word("job", await (await self._provider(spend)).poll(job_id))
        except ProviderError as error:
            if error.retryable:
                raise
            return Word("unknowable")  # the provider does not know this job, or does not let us ask

    async def _provider(self, spend: Spend) -> ImageProvider:
        if spend.provider not in self._accounts:
            raise ProviderUnavailable("This provider has no key here.")
        return await self._accounts.of(spend)
