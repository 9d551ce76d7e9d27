"""Purchases in review at a provider of a test's own, which answers as the test says."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.check import ReconcilingRules
from activities.reconciliation.inquiry import Inquiry
from activities.reconciliation.purchases_to_adopt import PurchasesToAdopt
from activities.waiting import Waiter, WaitingRules
from contracts.pictures import Closing
from db import ledger, lives
from db.models import Spend
from errors import JobNotFound, ProviderError
from providers.base import JobReport, ListedJob, LostJob
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_buying import FAST, Scripted
from tests.integration.test_ledger import PROMPT, a_generation, an_order


class Answers(Scripted):
    """A provider that answers each look-up by the purchase's token."""

    def __init__(self) -> None:
        super().__init__([])
        self.by_token: dict[str, LostJob | ProviderError] = {}
        self.listed: list[ListedJob] = []
        self.canceled: list[str] = []

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        for job in self.listed:
            yield job

    async def cancel(self, job_id: str) -> JobReport:
        self.canceled.append(job_id)
        return JobReport(job_id=job_id, state="canceled")

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        answer = self.by_token[token]
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    async def poll(self, job_id: str) -> JobReport:
        raise JobNotFound


class ReviewDesk:
    """The check that adopts, over a provider of the test's own, so that it meets no purchases of other tests."""

    def __init__(self, tables: Tables, name: str) -> None:
        self.tables = tables
        self.name = name
        self.provider = Answers()
        providers = {name: self.provider}
        keeper = Keeper(tables.database, MemoryStorage(), providers, KeepingRules())
        buyer = Buyer(tables.database, providers, keeper, FAST)
        waiter = Waiter(tables.database, providers, WaitingRules(first_s=0.01))
        self.inquiry = Inquiry(tables.database, providers, buyer, waiter, timedelta(minutes=55))
        self.check = PurchasesToAdopt(tables.database, self.inquiry, ReconcilingRules())

    async def in_review(self, answer: LostJob | ProviderError, *, window_s: float = -1) -> Spend:
        order = an_order(await a_generation(self.tables))
        candidate = order.candidate.model_copy(update={"provider": self.name})
        async with self.tables.database.transaction() as session:
            await lives.open_(session, await lives.read(session, order.generation_id))
            spend = await ledger.claim(session, order.model_copy(update={"candidate": candidate}), PROMPT)
            spend = await ledger.mark_unknown(session, await ledger.mark_sent(session, spend, window_s=window_s))
            await lives.close(session, Closing(generation_id=order.generation_id, outcome="needs_review"))
        self.provider.by_token[spend.token] = answer
        return spend

    async def row(self, spend: Spend) -> Spend:
        async with self.tables.database.transaction() as session:
            return await session.get_one(Spend, spend.id)

    async def round(self) -> None:
        for stray in (await self.check.find("")).strays:
            await self.check.mend(stray)


def found(job_id: str) -> LostJob:
    return LostJob(JobReport(job_id=job_id, state="succeeded"), conclusive=True)
