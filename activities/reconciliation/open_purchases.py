"""Purchases of closed generations that are still open: a late attempt began or sent them after everything was counted."""

from dataclasses import dataclass
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.reconciliation.check import PAGE, Found, ReconcilingRules, Stray, id_after, next_after
from activities.reconciliation.inquiry import Bill, Inquiry, bill_of
from contracts.reconciliation import FindingAction
from contracts.statuses import Billed, SpendState
from db import corrections, ledger, strays
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import GenerationCanceled, PurchaseNeverMade

OPEN = "purchase_open"


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an open purchase ends: its bill, the job that was found for it, and why there is no picture."""

    bill: Bill
    code: str
    job_id: str | None = None


class OpenPurchases:
    """Looks them up, stops their jobs, and settles or releases them; the generation's cost is put right with them."""

    name = "open_purchases"

    def __init__(self, database: Database, inquiry: Inquiry, rules: ReconcilingRules) -> None:
        self._database = database
        self._inquiry = inquiry
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Open purchases of generations that were closed long ago."""
        before = now() - self._rules.grace
        async with self._database.transaction() as session:
            rows = await strays.open_spends_of_closed(session, before=before, after=id_after(after), limit=PAGE)
        return Found([Stray.of_spend(OPEN, row, state=row.state) for row in rows], next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Take it over from whoever may still hold it, then end it by the provider's word."""
        async with self._database.transaction("purchase.taken_over") as session:
            generation = await corrections.locked(session, stray.row.generation_id)
            spend = await corrections.take_over(session, stray.row) if generation.status in strays.CLOSED else None
        if spend is None:
            return None
        ending = await self._ending(spend)
        async with self._database.transaction("purchase.ended_late") as session:
            generation = await corrections.locked(session, spend.generation_id)
            await _end(session, spend, ending)
            await corrections.correct_cost(session, generation)
        return "released" if ending.bill.billed is Billed.no else "settled"

    async def _ending(self, spend: Spend) -> _Ending:
        word = await self._inquiry.ask(spend)
        expected = next(known for known in (spend.cost_usd, spend.likely_usd, spend.hold_usd) if known is not None)
        match word.kind:
            case "never_made":
                return _Ending(Bill(Billed.no, Decimal(0)), PurchaseNeverMade.code)
            case "paid":
                return _Ending(Bill(Billed.yes, expected), GenerationCanceled.code)
            case "unknowable":
                return _Ending(Bill(Billed.unknown, expected), "outcome_unknown")
        assert word.report is not None  # noqa: S101 - a word about a job carries its report
        report = await self._inquiry.ended(spend, word.report)
        found = report.job_id if spend.provider_job_id is None else None
        return _Ending(bill_of(report, spend), GenerationCanceled.code, job_id=found)


async def _end(session: AsyncSession, spend: Spend, ending: _Ending) -> None:
    if ending.job_id is not None and spend.state in {SpendState.sent, SpendState.unknown}:
        spend = await ledger.mark_submitted(session, spend, job_id=ending.job_id)
    bill = ending.bill
    if bill.billed is Billed.no:
        await ledger.release(session, spend, error_code=ending.code)
    else:
        await ledger.settle(session, spend, cost_usd=bill.cost_usd, billed=bill.billed, error_code=ending.code)
