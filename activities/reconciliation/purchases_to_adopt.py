"""Purchases that wait for people's decision, and of which a webhook or the provider's list knows the answer after all."""

import random
from collections.abc import Sequence
from uuid import UUID

import structlog

from activities.reconciliation.check import Found, ReconcilingRules, Stray, id_after, next_after
from activities.reconciliation.inquiry import Inquiry, Word
from activities.waiting import TRANSIENT
from contracts.reconciliation import FindingAction
from contracts.statuses import Status
from db import corrections, ledger, lives, strays
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import ProviderError, PurchaseNeverMade

log = structlog.get_logger(__name__)

ADOPTABLE = "purchase_adoptable"
# Each question may read many pages of the provider's list, out of the read quota that the waiting ones need.
ASKED = 50
# Webhooks are forgotten long before that.
FARTHEST = 1000


class PurchasesToAdopt:
    """Adopts the job that was found, or releases what was never made; either way the generation goes on by itself."""

    name = "purchases_to_adopt"

    def __init__(self, database: Database, inquiry: Inquiry, rules: ReconcilingRules) -> None:
        self._database = database
        self._inquiry = inquiry
        self._rules = rules

    async def find(self, after: str) -> Found:
        """Unknown purchases of generations in review whose provider can say something; each is asked for.

        One that cannot be told of now does not keep the others from it. Raises ProviderError when nobody could be told of.
        """
        moment, remembers = now(), self._rules.provider_remembers
        async with self._database.transaction() as session:
            rows = await strays.unknown_in_review(
                session,
                providers=self._inquiry.with_jobs,
                sent_after=moment - remembers,
                noticed_after=moment - remembers * _reach(),
                after=id_after(after),
                limit=ASKED,
            )
        return Found(await self._told_of(rows), next_after(rows, ASKED))

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
            elif await corrections.adopt(session, spend, str(job_id)) is None:
                return None
            why = "never_made" if job_id is None else "found_at_provider"
            await lives.reopen(session, generation.id, why)
        return "released" if job_id is None else "adopted"

    async def _told_of(self, rows: Sequence[Spend]) -> list[Stray]:
        found: list[Stray] = []
        failed: dict[UUID, ProviderError] = {}
        away: set[tuple[str, UUID | None]] = set()
        for row in rows:
            if _account(row) in away:
                continue
            try:
                stray = await self._stray(row)
            except ProviderError as error:
                log.warning("reconciler.not_told", spend=str(row.id), provider=row.provider, code=error.code)
                failed[row.id] = error
                away |= {_account(row)} if isinstance(error, TRANSIENT) else set()
            else:
                found += [stray] if stray else []
        if failed and all(row.id in failed or _account(row) in away for row in rows):
            raise failed.popitem()[1]
        return found

    async def _stray(self, spend: Spend) -> Stray | None:
        word: Word = await self._inquiry.ask(spend)
        if word.kind == "never_made":
            return Stray.of_spend(ADOPTABLE, spend, never_made=True)
        if word.report is None:
            return None
        return Stray.of_spend(ADOPTABLE, spend, job_id=word.report.job_id)


def _account(spend: Spend) -> tuple[str, UUID | None]:
    """Where the purchase was made: what is wrong with a tenant's own account keeps nobody else's from being asked for."""
    return spend.provider, spend.tenant_id if spend.own_key else None


def _reach() -> float:
    """How many times as far back as usual this look goes: twice as far in every second look, ten times in every tenth.

    What a webhook told of and the provider denied is asked for again, but the more seldom, the older it is.
    """
    return 1 / max(random.random(), 1 / FARTHEST)
