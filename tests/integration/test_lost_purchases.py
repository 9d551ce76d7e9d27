"""A purchase at WaveSpeed whose answer was lost: only the webhook's word names its task, and a failed look is no answer."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from activities.buying import Buyer
from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.inquiry import Inquiry
from activities.waiting import Waiter, WaitingRules
from contracts.statuses import SpendState
from db import ledger
from db.models import Spend
from errors import OutcomeUnknown, ProviderBusy, ProviderCredentials, ProviderError, ProviderUnavailable
from providers.base import JobReport, LostJob
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.wavespeed import WaveSpeedProvider
from storage.memory import MemoryStorage
from tests.integration.conftest import Tables
from tests.integration.test_buying import FAST, JOB, Scripted, Shop, a_purchase
from tests.integration.test_ledger import a_generation, an_order, claimed
from tests.integration.test_notices import sent, told
from tests.sandbox_server import SandboxServer, start_sandbox

MODEL = "wavespeed-ai/flux-schnell"
# Longer than any answer takes, the slow one of a test included.
READ_TIMEOUT_S = 60.0
# What a look at the named task meets, once.
FAILED_LOOKS = [
    ("rate_limited", {"retry_after": "0"}, ProviderBusy),
    ("server_error", {}, ProviderUnavailable),
    ("slow_answer", {"seconds": "30"}, ProviderUnavailable),
]


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("lost")) as server:
        yield server


class Office:
    """A buyer at WaveSpeed, who waits for no webhook any more, and the reconciler's questions."""

    def __init__(self, tables: Tables, sandbox: SandboxServer) -> None:
        self.tables = tables
        self.sandbox = sandbox
        self.provider = WaveSpeedProvider(
            base_url=sandbox.wavespeed_url,
            key=SecretStr("wsk_test"),
            catalog=Catalog.load(),
            reads=ReadQuota(60_000, burst=1000),
            read_timeout_s=READ_TIMEOUT_S,
            word_within_s=0.0,
        )
        providers = {"wavespeed": self.provider}
        keeper = Keeper(tables.database, MemoryStorage(), providers, KeepingRules())
        self.buyer = Buyer(tables.database, providers, keeper, FAST)
        waiter = Waiter(tables.database, providers, WaitingRules(first_s=0.01))
        self.inquiry = Inquiry(tables.database, providers, self.buyer, waiter, timedelta(hours=1))

    async def fail_next_look(self, fault: str, params: dict[str, str]) -> None:
        """Let the next look at a task meet this; only what is slow is given up soon."""
        await self.sandbox.arm(fault, operation="get", times=1, params=params)
        poll = self.provider.poll

        async def hurried(job_id: str) -> JobReport:
            self.provider._read_timeout_s = 0.5
            try:
                return await poll(job_id)
            finally:
                self.provider._read_timeout_s = READ_TIMEOUT_S
                self.provider.poll = poll  # type: ignore[method-assign]

        if fault == "slow_answer":
            self.provider.poll = hurried  # type: ignore[method-assign]

    async def lost(self) -> tuple[Spend, str]:
        """A purchase that was made and whose answer was lost; its task, which a webhook has named."""
        await self.sandbox.disarm()
        await self.sandbox.reset()
        order = an_order(await a_generation(self.tables))
        candidate = order.candidate.model_copy(update={"provider": "wavespeed", "model": MODEL})
        spend = await claimed(self.tables, order.model_copy(update={"candidate": candidate}))
        async with self.tables.database.transaction() as session:
            spend = await ledger.mark_sent(session, spend, window_s=0)
        await self.sandbox.arm("lost_response", times=1)
        with pytest.raises(OutcomeUnknown):
            await self.provider.submit(a_purchase(spend))
        (job,) = await self.sandbox.jobs()
        await told(self.tables, spend, job["id"])
        return spend, job["id"]


@pytest.fixture
async def office(tables: Tables, sandbox: SandboxServer) -> AsyncIterator[Office]:
    office = Office(tables, sandbox)
    yield office
    await office.provider.close()


@pytest.mark.parametrize(("fault", "params"), [look[:2] for look in FAILED_LOOKS])
async def test_a_task_that_a_webhook_named_is_asked_for_again_when_a_look_at_it_failed(
    office: Office, fault: str, params: dict[str, str]
) -> None:
    spend, job_id = await office.lost()
    await office.fail_next_look(fault, params)
    found = await office.buyer.lost.found_again(spend)

    assert (found.state, found.provider_job_id) == (SpendState.submitted, job_id)
    assert len(await office.sandbox.jobs()) == 1


@pytest.mark.parametrize(("fault", "params", "error"), FAILED_LOOKS)
async def test_the_reconciler_does_not_take_a_failed_look_for_a_word_either(
    office: Office, fault: str, params: dict[str, str], error: type[ProviderError]
) -> None:
    spend, job_id = await office.lost()
    await office.fail_next_look(fault, params)
    with pytest.raises(error):
        await office.inquiry.ask(spend)
    word = await office.inquiry.ask(spend)

    assert word.kind == "job"
    assert word.report is not None
    assert word.report.job_id == job_id


async def test_a_look_that_is_refused_does_not_end_the_looking(tables: Tables) -> None:
    provider = Scripted([], [ProviderCredentials(), LostJob(report=JOB, conclusive=True)])
    found = await Shop(tables, provider).buyer.lost.found_again(await sent(tables))

    assert (found.state, found.provider_job_id) == (SpendState.submitted, JOB.job_id)
