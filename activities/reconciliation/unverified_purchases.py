"""Purchases that had to be ended without the provider's word: asked for afterwards, while it still remembers them."""

from decimal import Decimal

from activities.reconciliation.check import PAGE, Found, Stray, id_after, next_after
from activities.reconciliation.inquiry import Bill, Inquiry, bill_of
from contracts.reconciliation import FindingAction
from contracts.statuses import Billed
from db import corrections, strays
from db.engine import Database
from db.models import Spend

UNVERIFIED = "purchase_unverified"


class UnverifiedPurchases:
    """Corrects what they cost, and stops those whose jobs still run. What nobody can say any more stays as it is held."""

    name = "unverified_purchases"

    def __init__(self, database: Database, inquiry: Inquiry) -> None:
        self._database = database
        self._inquiry = inquiry

    async def find(self, after: str) -> Found:
        """Settled purchases of which it is not known whether they are charged for."""
        async with self._database.transaction() as session:
            rows = await strays.unverified_spends(session, after=id_after(after), limit=PAGE)
        found = [Stray.of_spend(UNVERIFIED, row, can_be_asked=self._inquiry.can_tell(row)) for row in rows]
        return Found(found, next_after(rows))

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Ask, and write the answer down with the generation's cost; nothing to tell when the answer changes nothing."""
        spend: Spend = stray.row
        bill, job_id = await self._bill(spend)
        async with self._database.transaction("purchase.verified") as session:
            generation = await corrections.locked(session, spend.generation_id)
            written = await corrections.verify(
                session, spend, billed=bill.billed, cost_usd=bill.cost_usd, job_id=job_id
            )
            await corrections.correct_cost(session, generation)
        return "corrected" if written and bill.billed is not Billed.unknown else None

    async def _bill(self, spend: Spend) -> tuple[Bill, str | None]:
        as_it_is = Bill(Billed.unknown, spend.hold_usd if spend.cost_usd is None else spend.cost_usd)
        if not self._inquiry.can_tell(spend):
            return as_it_is, None
        word = await self._inquiry.ask(spend)
        if word.kind == "never_made":
            return Bill(Billed.no, Decimal(0)), None
        if word.report is None:
            return as_it_is, None
        report = await self._inquiry.ended(spend, word.report)
        return bill_of(report, spend), report.job_id
