"""Wait for a job: poll with growing intervals inside the read quota, woken by the provider's webhook, until the deadline."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from activities.accounts import Accounts
from activities.read_pauses import ReadPauses
from activities.witness import Silence, Witness
from db import events
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import DeadlineExceeded, JobNotFound, ProviderBusy, ProviderError, ProviderUnavailable, ProviderUnreachable
from providers.base import ImageProvider, JobReport

log = structlog.get_logger(__name__)

TRANSIENT = (ProviderUnavailable, ProviderUnreachable, ProviderBusy)


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """Seconds between polls: from `first_s`, growing by `growth`, to `longest_s`.

    `polls_per_s` is what all waiting jobs of this process may use together, so that the provider's read quota keeps room for
    the polls that follow a webhook.
    """

    first_s: float = 0.5
    growth: float = 1.5
    longest_s: float = 10.0
    polls_per_s: float = 25.0  # half of Replicate's 3,000 reads a minute
    # A provider may be unable to read a job that it has just made; one that it denies for so long is not there.
    denied_for_s: float = 20.0


class Denials:
    """Counts the time for which a provider has said, and never anything else, that it has no such job."""

    def __init__(self, believed_after_s: float) -> None:
        self._believed_after_s = believed_after_s
        self._since: float | None = None

    def note(self, denial: JobNotFound) -> None:
        """One more. Raises it when it is to be believed."""
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since >= self._believed_after_s:
            raise denial

    def forget(self) -> None:
        """The provider knows the job after all."""
        self._since = None


class Waiter:
    """Waits for any number of jobs; each costs a coroutine."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, ImageProvider],
        rules: WaitingRules,
        *,
        witness: Witness | None = None,
        pauses: ReadPauses | None = None,
    ) -> None:
        self._database = database
        self._witness = witness
        self._pauses = pauses
        self._accounts = Accounts.over(providers)
        self._rules = rules
        self._waiting = 0

    async def finished(self, spend: Spend, woken: asyncio.Event, overall: Callable[[float], float | None]) -> JobReport:
        """The job's final report. Raises DeadlineExceeded after the job was canceled at the provider, and JobNotFound.

        `woken` is set when the provider sent word; `overall` turns the picture's progress into the generation's (None: it
        cannot be told from one picture).
        """
        job_id = spend.provider_job_id or ""
        denials, silence = Denials(self._rules.denied_for_s), Silence(self._witness, spend)
        shown = 0.0
        with self._counted():
            if (now() - (spend.submitted_at or spend.created_at)).total_seconds() < self._rules.first_s:
                await self._pause(spend, woken, attempt=0)  # just bought: nothing to see yet
            for attempt in range(1_000_000):
                woken.clear()  # before the poll: word that comes during it is about something newer
                report = await self._ask(spend, attempt, denials=denials, silence=silence)
                if report and report.is_final:
                    return report
                if report and (report.progress or 0) >= shown + 0.1:
                    shown = await self._show(spend, report.progress or 0, overall)
                if now() >= spend.deadline_at:
                    return await self._stop(spend, job_id)
                await self._pause(spend, woken, attempt)
        raise AssertionError  # the deadline ends the loop long before

    async def stopped(self, spend: Spend) -> JobReport:
        """Cancel the job at the provider and see how it ended, within seconds; a job may have finished just before."""
        return await self.job_stopped(spend, spend.provider_job_id or "")

    async def job_stopped(self, spend: Spend, job_id: str) -> JobReport:
        """The same for another job in the account of this purchase. Its report is not final when the provider takes longer."""
        provider = await self._accounts.of(spend)
        report = await provider.cancel(job_id)
        for _ in range(10):
            if report.is_final:
                break
            await asyncio.sleep(1)
            report = await provider.poll(report.job_id)
        return report

    async def _stop(self, spend: Spend, job_id: str) -> JobReport:
        log.warning("picture.deadline", provider=spend.provider, job_id=job_id)
        try:
            report = await self.stopped(spend)
        except TRANSIENT:  # its own deadline at the provider ends it; whether it is charged for is not known
            raise DeadlineExceeded(billed="unknown") from None
        if report.state == "succeeded":
            return report
        raise DeadlineExceeded(billed=report.failure.billed if report.failure else "unknown")

    async def _pause(self, spend: Spend, woken: asyncio.Event, attempt: int) -> None:
        left_s = (spend.deadline_at - now()).total_seconds()
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the end of what it waits for.
            async with asyncio.timeout(max(0.0, min(self._delay_s(attempt), left_s))):
                await woken.wait()

    async def _ask(self, spend: Spend, attempt: int, *, denials: Denials, silence: Silence) -> JobReport | None:
        job_id = spend.provider_job_id or ""
        if self._pauses is not None and not spend.own_key:
            await self._pauses.over(spend.provider, until=spend.deadline_at)
        try:
            report = await (await self._accounts.of(spend)).poll(job_id)
        except TRANSIENT as error:
            log.debug("picture.poll", job_id=job_id, attempt=attempt, status=error.code)
            await silence.note(error)
            if isinstance(error, ProviderBusy):
                await self._come_later(spend, error)
            return None
        except JobNotFound as denial:
            log.warning("picture.job_denied", job_id=job_id, attempt=attempt)
            denials.note(denial)
            return None
        denials.forget()
        silence.broken()
        log.debug("picture.poll", job_id=job_id, attempt=attempt, status=report.state, progress=report.progress)
        return report

    async def _come_later(self, spend: Spend, error: ProviderBusy) -> None:
        if self._pauses is None or spend.own_key:  # of a tenant's own account nobody else has to know
            await asyncio.sleep(min(error.retry_after_s, 30))
        else:
            await self._pauses.begin(spend.provider, for_s=error.retry_after_s)

    async def _show(self, spend: Spend, progress: float, overall: Callable[[float], float | None]) -> float:
        data = {"step": spend.step, "progress": round(progress, 2)}
        stage = f"{spend.step}: {progress:.0%} at {spend.provider}"
        async with self._database.transaction("picture.progress") as session:
            await events.append(
                session, spend.generation_id, "picture.progress", data, stage=stage, progress=overall(progress)
            )
        return progress

    def _delay_s(self, attempt: int) -> float:
        rules = self._rules
        grown = min(rules.first_s * rules.growth ** min(attempt, 30), rules.longest_s)
        fair = self._waiting / rules.polls_per_s
        return max(grown, fair) * random.uniform(0.8, 1.2)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


def failure_of(report: JobReport) -> ProviderError:
    """Why a job that ended without a picture did so."""
    return report.failure or ProviderError(billed="unknown")
