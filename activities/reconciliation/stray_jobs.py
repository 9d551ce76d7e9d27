"""Jobs in the providers' lists that carry our tokens: each must be the job of a purchase that waits for it."""

from contextlib import aclosing
from dataclasses import replace

from activities.reconciliation.check import Found, ReconcilingRules, Stray
from activities.reconciliation.inquiry import Inquiry, bill_of
from contracts.reconciliation import Fact, FindingAction
from contracts.statuses import Billed, SpendState
from db import corrections, strays
from db.columns import now
from db.engine import Database
from db.ledger import ENDED
from db.models import Spend
from providers.base import ImageProvider, JobReport, ListedJob

STRAY = "stray_job"
# A bound besides the provider's own, for one that lists without end.
MOST_JOBS = 10_000
# These purchases still look for their job themselves, or another check does it.
LOOKED_FOR = (SpendState.held, SpendState.sent, SpendState.unknown)


class StrayJobs:
    """Cancels jobs that nobody waits for, and writes down what they cost as further purchases of their generation."""

    name = "stray_jobs"

    def __init__(self, database: Database, inquiry: Inquiry, rules: ReconcilingRules) -> None:
        self._database = database
        self._inquiry = inquiry
        self._rules = rules

    async def find(self, after: str) -> Found:
        """The jobs that are not their purchase's job, or that outlived it, for as long as the provider shows our token.

        Not only those since the round before: it may have been long ago, or could not mend what it found.
        """
        found: list[Stray] = []
        for name, provider in self._inquiry.with_jobs.items():
            found += await self._of_provider(name, await self._listed(provider))
        return Found(found)

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Stop the job; then it is on record, or is put there. Not when a purchase has adopted it since it was found."""
        job: ListedJob = stray.row[1]
        again = await self._of_provider(stray.row[0].provider, {job.report.job_id: job})
        if not again:
            return None
        origin: Spend = again[0].row[0]
        last = await self._inquiry.ended(origin, job.report)
        if again[0].facts["on_record"]:
            return "canceled"
        bill = bill_of(last, origin)
        async with self._database.transaction("stray_job.recorded") as session:
            generation = await corrections.locked(session, origin.generation_id)
            recorded = await corrections.record_stray(
                session, origin, job_id=last.job_id, billed=Billed(bill.billed), cost_usd=bill.cost_usd
            )
            await corrections.correct_cost(session, generation)
        return "recorded" if recorded else None

    async def _listed(self, provider: ImageProvider) -> dict[str, ListedJob]:
        """Our jobs by id; the newest ones, when there are more than can be looked at."""
        jobs: dict[str, ListedJob] = {}
        async with aclosing(provider.list_jobs(now() - self._rules.provider_remembers)) as listed:
            async for job in listed:
                if job.token is not None:
                    jobs[job.report.job_id] = job
                if len(jobs) >= MOST_JOBS:
                    break
        return jobs

    async def _of_provider(self, name: str, jobs: dict[str, ListedJob]) -> list[Stray]:
        # The purchases are read after the list: what is submitted by then was under way while the list was made.
        async with self._database.transaction() as session:
            spends = await strays.spends_of(session, name, {job.token or "" for job in jobs.values()})
            recorded = await strays.jobs_on_record(session, name, jobs)
        found: list[Stray] = []
        for job_id, job in jobs.items():
            origin, on_record = spends.get(job.token or ""), recorded.get(job_id)
            if origin is not None and _is_astray(job.report, origin, on_record):
                subject = on_record or origin
                facts: dict[str, Fact] = {"job_id": job_id, "job_state": job.report.state}
                stray = Stray.of_spend(STRAY, subject, on_record=on_record is not None, **facts)
                found.append(replace(stray, row=(subject, job)))
        return found


def _is_astray(report: JobReport, origin: Spend, on_record: Spend | None) -> bool:
    if on_record is not None:
        return on_record.state in ENDED and not report.is_final
    to_be_verified = origin.state is SpendState.settled and origin.billed is Billed.unknown and not origin.verified_at
    is_looked_for = origin.state in LOOKED_FOR or (origin.provider_job_id is None and to_be_verified)
    return not is_looked_for
