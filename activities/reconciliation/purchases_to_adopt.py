"""Purchases that wait for people's decision, and of which a webhook or the provider's list knows the answer after all."""

from activities.reconciliation.check import Found, ReconcilingRules, Stray, id_after, next_after
from activities.reconciliation.inquiry import Inquiry, Word
from contracts.reconciliation import FindingAction
from contracts.statuses import Status
from db import corrections, ledger, lives, strays
from db.engine import Database
from db.models import Spend, now
from errors import PurchaseNeverMade

ADOPTABLE = "purchase_adoptable"
# Each question may read many pages of the provider's list, out of the read quota that the waiting ones need.
ASKED = 50


class PurchasesToAdopt:
    """Adopts the job that was found, or releases what was never made; either way the generation goes on by itself."""

    name = "purchases_to_adopt"

    def __init__(self, database: Database, inquiry: Inquiry, rules: ReconcilingRules) -> None:
        self._database = database
        self._inquiry = inquiry
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Unknown purchases of generations in review whose provider can say something; each is asked for."""
        async with self._database.transaction() as session:
            rows = await strays.unknown_in_review(
                session,
                providers=self._inquiry.with_jobs,
                sent_after=now() - self._rules.provider_remembers,
                after=id_after(after),
                limit=ASKED,
            )
        found = [stray for stray in [await self._stray(row) for row in rows] if stray]
        return Found(found, next_after(rows, ASKED))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Move the purchase and reopen its generation, in one transaction."""
        job_id = stray.facts.get("job_id")
        async with self._database.transaction("purchase.resolved_by_provider") as session:
            generation = await corrections.locked(session, stray.row.generation_id)
            spend = await corrections.take_over(session, stray.row)
            if spend is None or generation.status is not Status.needs_review:
                return None
            if job_id is None:
                await ledger.release(session, spend, error_code=PurchaseNeverMade.code)
            else:
                await ledger.mark_submitted(session, spend, job_id=str(job_id))
            why = "never_made" if job_id is None else "found_at_provider"
            await lives.reopen(session, generation.id, why)
        return "released" if job_id is None else "adopted"

    async def _stray(self, spend: Spend) -> Stray | None:
        word: Word = await self._inquiry.ask(spend)
        if word.kind == "never_made":
            return Stray.of_spend(ADOPTABLE, spend, never_made=True)
        if word.report is None:
            return None
        return Stray.of_spend(ADOPTABLE, spend, job_id=word.report.job_id)
