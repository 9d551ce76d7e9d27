"""Waiting for jobs: patient with providers, quick when woken, and stopped at the deadline."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import pytest
import structlog

from activities.waiting import Waiter, WaitingRules
from db import events, ledger
from db.columns import now
from db.models import Spend
from errors import (
    DeadlineExceeded,
    JobCanceled,
    JobNotFound,
    ProviderBusy,
    ProviderError,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import FinishedPicture, JobReport, ListedJob, LostJob, Purchase, RemoteFile
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order, claimed

RUNNING = JobReport(job_id="job", state="running")
DONE = JobReport(job_id="job", state="succeeded", outputs=(RemoteFile("https://x/y.png"),))
CANCELED = JobReport(job_id="job", state="canceled", failure=JobCanceled(billed="yes"))
Answer = JobReport | ProviderError


class Slow:
    """A provider whose job goes through the given reports; the last one stays."""

    name = "replicate"
    synchronous = False
    submit_timeout_s = 1.0

    def __init__(self, *reports: Answer, stopped_as: JobReport = CANCELED) -> None:
        self._reports = list(reports)
        self._stopped_as = stopped_as
        self.polls = 0
        self.polled = asyncio.Event()
        self.cancels = 0

    async def poll(self, job_id: str) -> JobReport:
        self.polls += 1
        self.polled.set()
        answer = self._reports.pop(0) if len(self._reports) > 1 else self._reports[0]
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    async def cancel(self, job_id: str) -> JobReport:
        self.cancels += 1
        return self._stopped_as

    async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
        raise AssertionError(purchase)

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        raise AssertionError(since)
        yield

    async def find_lost(self, token: str, sent_at: object) -> LostJob:
        raise AssertionError(token)

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        raise AssertionError(output)

    async def probe(self, model: str | None = None) -> None:
        raise AssertionError(model)

    async def close(self) -> None:
        pass


async def a_job(tables: Tables, *, deadline_s: float = 60) -> Spend:
    spend = await claimed(tables, an_order(await a_generation(tables)))
    async with tables.database.transaction() as session:
        spend = await ledger.mark_sent(session, spend, window_s=30)
        spend = await ledger.mark_submitted(session, spend, job_id="job")
    spend.submitted_at = now() - timedelta(hours=5)  # long ago: the first poll comes at once
    spend.deadline_at = now() + timedelta(seconds=deadline_s)
    return spend


def waiter(tables: Tables, provider: Slow, *, first_s: float = 0.01) -> Waiter:
    return Waiter(tables.database, {"replicate": provider}, WaitingRules(first_s=first_s, longest_s=max(0.05, first_s)))


async def test_a_job_is_polled_until_it_is_final(tables: Tables) -> None:
    provider = Slow(RUNNING, RUNNING, DONE)
    report = await waiter(tables, provider).finished(await a_job(tables), asyncio.Event(), float)

    assert (report, provider.polls) == (DONE, 3)


@pytest.mark.parametrize("trouble", [ProviderUnavailable(), ProviderUnreachable(), ProviderBusy(retry_after_s=0.01)])
async def test_a_provider_that_cannot_say_is_asked_again(tables: Tables, trouble: ProviderError) -> None:
    provider = Slow(trouble, trouble, DONE)

    assert await waiter(tables, provider).finished(await a_job(tables), asyncio.Event(), float) == DONE


async def test_a_job_that_the_provider_denies_only_at_first_is_waited_for(tables: Tables) -> None:
    provider = Slow(JobNotFound(), JobNotFound(), RUNNING, JobNotFound(), DONE)

    assert await waiter(tables, provider).finished(await a_job(tables), asyncio.Event(), float) == DONE


async def test_a_job_that_the_provider_goes_on_denying_is_not_there(tables: Tables) -> None:
    provider = Slow(RUNNING, JobNotFound(), ProviderUnavailable(), JobNotFound())
    rules = WaitingRules(first_s=0.01, longest_s=0.05, denied_for_s=0.1)
    with pytest.raises(JobNotFound):
        await Waiter(tables.database, {"replicate": provider}, rules).finished(
            await a_job(tables), asyncio.Event(), float
        )

    assert provider.cancels == 0


async def test_a_word_from_the_provider_ends_a_long_pause_at_once(tables: Tables) -> None:
    provider = Slow(RUNNING, DONE)
    woken = asyncio.Event()
    job = await a_job(tables)
    async with asyncio.timeout(120):
        waiting = asyncio.create_task(waiter(tables, provider, first_s=3600).finished(job, woken, float))
        await provider.polled.wait()
        await asyncio.sleep(0)
        woken.set()

        assert await waiting == DONE


async def test_at_the_deadline_the_job_is_stopped_at_the_provider(tables: Tables) -> None:
    provider = Slow(RUNNING)
    with pytest.raises(DeadlineExceeded) as caught:
        await waiter(tables, provider).finished(await a_job(tables, deadline_s=0.1), asyncio.Event(), float)

    assert (caught.value.billed, provider.cancels) == ("yes", 1)


async def test_a_job_that_finished_just_before_it_was_stopped_still_gives_its_picture(tables: Tables) -> None:
    provider = Slow(RUNNING, stopped_as=DONE)

    assert await waiter(tables, provider).finished(await a_job(tables, deadline_s=0.05), asyncio.Event(), float) == DONE


async def test_progress_is_told_in_steps_that_people_notice(tables: Tables) -> None:
    reports = [JobReport(job_id="job", state="running", progress=part / 100) for part in (1, 2, 15, 16, 50)]
    spend = await a_job(tables)
    await waiter(tables, Slow(*reports, DONE)).finished(spend, asyncio.Event(), float)
    async with tables.database.transaction() as session:
        rows = await events.after(session, spend.generation_id, 0)

    assert [row.data["progress"] for row in rows if row.type == "picture.progress"] == [0.15, 0.5]


async def test_every_poll_is_logged_with_its_attempt_and_status(tables: Tables) -> None:
    with structlog.testing.capture_logs() as logs:
        await waiter(tables, Slow(RUNNING, DONE)).finished(await a_job(tables), asyncio.Event(), float)

    polls = [(line["attempt"], line["status"], line["log_level"]) for line in logs if line["event"] == "picture.poll"]
    assert polls == [(0, "running", "debug"), (1, "succeeded", "debug")]


def test_many_waiting_jobs_share_the_read_quota(tables: Tables) -> None:
    crowd = waiter(tables, Slow(DONE))
    crowd._waiting = 2000

    assert crowd._delay_s(0) >= 0.8 * 2000 / WaitingRules().polls_per_s


async def test_word_that_comes_during_a_poll_is_not_lost(tables: Tables) -> None:
    woken = asyncio.Event()

    class Late(Slow):
        async def poll(self, job_id: str) -> JobReport:
            report = await super().poll(job_id)
            if self.polls == 1:
                woken.set()  # the webhook comes while the older answer is on its way
            return report

    async with asyncio.timeout(120):
        report = await waiter(tables, Late(RUNNING, DONE), first_s=3600).finished(await a_job(tables), woken, float)

    assert report == DONE


async def test_a_cancel_in_the_moment_of_a_wake_is_not_swallowed(tables: Tables) -> None:
    provider, woken = Slow(RUNNING), asyncio.Event()
    waiting = asyncio.create_task(waiter(tables, provider, first_s=3600).finished(await a_job(tables), woken, float))
    await provider.polled.wait()
    await asyncio.sleep(0)
    woken.set()
    waiting.cancel()
    async with asyncio.timeout(120):
        await asyncio.wait({waiting})

    assert waiting.cancelled()


async def test_at_the_deadline_a_provider_that_does_not_answer_is_not_waited_for(tables: Tables) -> None:
    class Away(Slow):
        async def cancel(self, job_id: str) -> JobReport:
            raise ProviderUnavailable

    with pytest.raises(DeadlineExceeded) as caught:
        await waiter(tables, Away(RUNNING)).finished(await a_job(tables, deadline_s=0.1), asyncio.Event(), float)

    assert caught.value.billed == "unknown"


async def test_a_job_that_was_just_bought_is_first_asked_for_when_there_is_word(tables: Tables) -> None:
    provider, woken = Slow(DONE), asyncio.Event()
    job = await a_job(tables)
    job.submitted_at = now()
    woken.set()
    async with asyncio.timeout(120):
        await waiter(tables, provider, first_s=3600).finished(job, woken, float)

    assert provider.polls == 1
