"""What a provider's webhook named is kept once, and a lost purchase is adopted by it, after the provider confirmed it."""

import asyncio

from sqlmodel import col, select
from uuid_utils.compat import uuid4

from contracts.names import CHANNEL_WAKE
from contracts.statuses import SpendState
from db import ledger, spend_lookup
from db.listener import Listener
from db.models import Spend
from db.operation_models import Notice
from errors import JobNotFound, ProviderError
from providers.base import JobReport, LostJob
from tests.integration.conftest import Tables
from tests.integration.test_buying import ABSENT, JOB, Scripted, Shop
from tests.integration.test_ledger import a_generation, an_order, claimed


class Knowing(Scripted):
    """A provider that can be asked about a job; an error is raised."""

    def __init__(self, known: JobReport | ProviderError, look_ups: list[object]) -> None:
        super().__init__([], look_ups)
        self._known = known
        self.asked: list[str] = []

    async def poll(self, job_id: str) -> JobReport:
        self.asked.append(job_id)
        if isinstance(self._known, ProviderError):
            raise self._known
        return self._known


async def told(tables: Tables, spend: Spend, job_id: str | None, *, message: str = "", provider: str = "") -> bool:
    name = message or f"msg-{uuid4()}"
    notice = Notice(id=name, provider=provider or spend.provider, token=spend.token, job_id=job_id)
    async with tables.database.statement("notice.received") as session:
        return await spend_lookup.receive(session, notice)


async def sent(tables: Tables) -> Spend:
    spend = await claimed(tables, an_order(await a_generation(tables)))
    async with tables.database.transaction() as session:
        return await ledger.mark_sent(session, spend, window_s=0)


async def notices(tables: Tables, spend: Spend) -> list[str | None]:
    async with tables.database.transaction() as session:
        query = select(Notice.job_id).where(col(Notice.token) == spend.token)
        return list((await session.exec(query)).all())


async def test_a_notice_that_comes_many_times_at_once_is_kept_once_and_wakes_once(tables: Tables) -> None:
    spend = await sent(tables)
    other = await sent(tables)
    listener = Listener(tables.url, (CHANNEL_WAKE,))
    wakes = 0
    async with listener.listening():
        with (
            listener.subscribe(CHANNEL_WAKE, str(spend.generation_id)) as woken,
            listener.subscribe(CHANNEL_WAKE, str(other.generation_id)) as last,
        ):
            await woken.wait()  # set once when listening begins
            await last.wait()
            last.clear()
            answers = []
            for _ in range(5):
                woken.clear()
                answers.append(await told(tables, spend, "job-1", message=f"msg-{spend.token}"))
                await told(tables, other, None)
                await last.wait()  # notifications come in the order of their commits
                last.clear()
                wakes += woken.is_set()

    assert answers == [True] * 5
    assert wakes == 1
    assert await notices(tables, spend) == ["job-1"]


async def test_a_notice_for_a_token_that_this_provider_never_got_is_refused(tables: Tables) -> None:
    spend = await sent(tables)

    assert not await told(tables, spend, "job-1", provider="openai")
    assert await notices(tables, spend) == []


async def test_many_notices_at_once_are_one(tables: Tables) -> None:
    spend = await sent(tables)
    await asyncio.gather(*(told(tables, spend, "job-1", message=f"msg-{spend.token}") for _ in range(20)))

    assert await notices(tables, spend) == ["job-1"]


async def test_a_lost_purchase_is_adopted_by_the_job_that_a_webhook_named(tables: Tables) -> None:
    provider = Knowing(JobReport(job_id="job-7", state="succeeded"), [ABSENT])
    shop = Shop(tables, provider)
    spend = await sent(tables)
    await told(tables, spend, "job-7")
    found = await shop.buyer.lost.found_again(spend)

    assert (found.state, found.provider_job_id) == (SpendState.submitted, "job-7")
    assert (provider.asked, provider.looked_up) == (["job-7"], 0)


async def test_what_a_webhook_named_is_not_believed_without_the_provider(tables: Tables) -> None:
    provider = Knowing(JobNotFound(), [LostJob(report=JOB, conclusive=True)])
    shop = Shop(tables, provider)
    spend = await sent(tables)
    await told(tables, spend, "somebody-elses")
    found = await shop.buyer.lost.found_again(spend)

    assert provider.asked == ["somebody-elses"]
    assert found.provider_job_id == JOB.job_id


async def test_a_webhook_without_a_job_leaves_the_list_to_be_asked(tables: Tables) -> None:
    provider = Knowing(JobNotFound(), [LostJob(report=JOB, conclusive=True)])
    spend = await sent(tables)
    await told(tables, spend, None)
    found = await Shop(tables, provider).buyer.lost.found_again(spend)

    assert (provider.asked, found.provider_job_id) == ([], JOB.job_id)
