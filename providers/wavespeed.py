"""WaveSpeed: tasks that are bought with one call and polled by id; only a signed webhook can name a lost one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
from pydantic import SecretStr

from errors import (
    JobNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.answers import Answer
from providers.base import JobReport, ListedJob, LostJob, Purchase, RemoteFile
from providers.catalog import Catalog
from providers.download import Downloader
from providers.http import HttpSettings, build_client
from providers.purchase_call import one_purchase
from providers.read_call import ask, repeat
from providers.read_quota import ReadQuota
from providers.wavespeed_answers import billed_usd, data_of, is_job_id, items_of, made_at, read_task
from providers.wavespeed_errors import create_refusal, poll_refusal, probe_refusal, read_refusal, says_success
from providers.wavespeed_input import model_input, path_of
from providers.wavespeed_uploads import Uploads

_MAX_ANSWER_BYTES = 64_000_000
_CLOCK_SKEW = timedelta(seconds=60)
_KEPT_FOR = timedelta(days=6)  # the list goes back seven days
_PAGE = 100  # the most rows that a page has
_MAX_PAGES = 50
_MAX_HOLD_BACK_S = 60.0  # the limits are by the minute
_PAUSES_S = (0.5, 1.5)


class WaveSpeedProvider:
    """The seam to WaveSpeed's HTTP API, version 3.

    There is no call that stops a task: `cancel` only looks, and the task runs to its end and is settled as it ends.
    There is no field that is kept and listed for us: a lost create is found again when the task's webhook comes, and is
    proved absent when the account has no task at all of those moments. `word_within_s`: how long after a create such a
    webhook is waited for; 0 where no webhooks come.
    """

    name = "wavespeed"
    synchronous = False

    def __init__(
        self,
        *,
        key: SecretStr,
        catalog: Catalog,
        reads: ReadQuota,
        base_url: str = "https://api.wavespeed.ai",
        http: HttpSettings | None = None,
        submit_timeout_s: float = 30.0,
        read_timeout_s: float = 20.0,
        word_within_s: float = 0.0,
    ) -> None:
        self.submit_timeout_s = submit_timeout_s
        self._read_timeout_s = read_timeout_s
        self._word_within_s = word_within_s
        self._catalog = catalog
        self._provider = catalog.provider(self.name)
        self._reads = reads
        self._client = build_client(base_url, key, http or HttpSettings())
        self._downloader = Downloader(self._client)
        self._uploads = Uploads(self._client, reads.take, timeout_s=submit_timeout_s)

    async def submit(self, purchase: Purchase) -> JobReport:
        """Buy a task, once; `submit_timeout_s` bounds the uploads and the create together."""
        async with one_purchase(self._client, purchase, timeout_s=self.submit_timeout_s) as call:
            entry = self._catalog.entry(self.name, purchase.model)
            body = await model_input(purchase, entry, self._uploads.put)
            path = path_of(purchase, entry)
            if purchase.webhook_url is not None:
                path = f"{path}?{httpx.QueryParams({'webhook': purchase.webhook_url})}"
            answer = await call.send(call.build(path, json=body), max_bytes=_MAX_ANSWER_BYTES)
        task = data_of(answer)
        # A task that is named is there, whatever code stands beside it: its own status says the rest.
        if answer.is_success and is_job_id(task.get("id")):
            return read_task(task, task["id"], self._provider)
        if says_success(answer):
            raise OutcomeUnknown(reason="UnreadableAnswer", status=answer.status)
        raise create_refusal(answer)

    async def poll(self, job_id: str) -> JobReport:
        """Ask where a task stands; waits for the read quota. Raises JobNotFound, too.

        The cost of a task that has succeeded is what WaveSpeed's own bill says, where that can be read.
        """
        if not is_job_id(job_id):
            raise JobNotFound("This is not an id of a task.")
        answer = await self._look(self._client.build_request("GET", f"/api/v3/predictions/{job_id}/result"))
        task = data_of(answer)
        if not answer.is_success or not isinstance(task.get("status"), str):
            raise poll_refusal(answer)
        report = read_task(task, job_id, self._provider)
        return replace(report, cost_usd=await self._billed(job_id)) if report.state == "succeeded" else report

    async def cancel(self, job_id: str) -> JobReport:
        """Look at a task: WaveSpeed stops none, so it stays as it is and is settled when it ends."""
        return await repeat(
            lambda: self.poll(job_id), on=(ProviderUnavailable, ProviderUnreachable), pauses_s=_PAUSES_S
        )

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """Whether the account has any task of the moments in which the purchase with this token can have been made.

        None: conclusive, it was never made. Some: none of them shows our token, so it is not conclusive; but for
        `word_within_s`, and while one of them runs, ProviderUnavailable says that a webhook may yet name the one.
        """
        waited = datetime.now(UTC) - sent_at
        until = sent_at + timedelta(seconds=self.submit_timeout_s) + _CLOCK_SKEW
        running = found = False
        async for row in self._rows(sent_at - _CLOCK_SKEW, until):
            found = True
            running = running or not read_task(row, str(row["id"]), self._provider).is_final
        if not found:
            return LostJob(None, conclusive=waited < _KEPT_FOR)
        if self._word_within_s and (running or waited.total_seconds() < self._word_within_s):
            raise ProviderUnavailable(reason="WebhookMayCome")
        return LostJob(None, conclusive=False)

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """All tasks of the account since then, newest first; what is listed shows nothing of our tokens."""
        async with aclosing(self._rows(since - _CLOCK_SKEW, None)) as rows:
            async for row in rows:
                yield ListedJob(None, made_at(row) or since, read_task(row, row["id"], self._provider))

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """Download a finished picture, of at most `max_bytes`."""
        return await self._downloader.fetch(output, max_bytes=max_bytes)

    async def probe(self, model: str | None = None) -> None:
        """Ask for the balance, which is free and tells of all models alike. Raises what a purchase would meet."""
        await self._reads.take()
        request = self._client.build_request("GET", "/api/v3/balance")
        answer = await ask(self._client, request, timeout_s=self._read_timeout_s, max_bytes=_MAX_ANSWER_BYTES)
        if not says_success(answer):
            raise probe_refusal(answer)
        balance = data_of(answer).get("balance")
        if isinstance(balance, int | float) and balance <= 0:
            raise ProviderQuota(reason="NothingLeft")

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def _billed(self, job_id: str) -> Decimal | None:
        body = {"prediction_uuids": [job_id], "page": 1, "page_size": _PAGE}
        request = self._client.build_request("POST", "/api/v3/billings/search", json=body)
        try:
            bills = items_of(await self._look(request))
        except ProviderError:  # the catalog's price has to do
            return None
        return billed_usd(bills or [])

    async def _rows(self, since: datetime, until: datetime | None) -> AsyncGenerator[dict[str, Any]]:
        """The account's tasks of a time, newest first, as far back as the list is read for a look-up."""
        window = {"created_after": _stamp(since)} | ({"created_before": _stamp(until)} if until else {})
        for page in range(1, _MAX_PAGES + 1):
            body = {"page": page, "page_size": _PAGE, **window}
            rows = await repeat(
                partial(self._page, body), on=(ProviderUnavailable, ProviderUnreachable), pauses_s=_PAUSES_S
            )
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return

    async def _page(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self._look(self._client.build_request("POST", "/api/v3/predictions", json=body))
        if not says_success(answer):
            raise read_refusal(answer)
        rows = items_of(answer)
        if rows is None or not all(is_job_id(row.get("id")) for row in rows):
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return rows

    async def _look(self, request: httpx.Request) -> Answer:
        """A call that buys nothing. Raises ProviderBusy, ProviderUnavailable (5xx too) or ProviderUnreachable."""
        await self._reads.take()
        answer = await ask(self._client, request, timeout_s=self._read_timeout_s, max_bytes=_MAX_ANSWER_BYTES)
        if answer.status == 429 or answer.status >= 500:
            refusal = read_refusal(answer)
            if isinstance(refusal, ProviderBusy):
                self._reads.hold_back(min(refusal.retry_after_s, _MAX_HOLD_BACK_S))
            raise refusal
        return answer


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
