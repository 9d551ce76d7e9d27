"""Replicate: predictions that are bought with one call, polled by id, and found again by our token."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from errors import JobNotFound, OutcomeUnknown, ProviderBusy, ProviderUnavailable, ProviderUnreachable
from providers.answers import Answer, is_text
from providers.base import JobReport, ListedJob, LostJob, Purchase, RemoteFile
from providers.catalog import Catalog
from providers.download import Downloader
from providers.http import HttpSettings, build_client
from providers.purchase_call import one_purchase
from providers.read_call import ask, repeat
from providers.read_quota import ReadQuota
from providers.replicate_answers import is_job_id, read_prediction
from providers.replicate_errors import create_refusal, poll_refusal, read_refusal, upload_refusal
from providers.replicate_input import model_input

_MAX_ANSWER_BYTES = 64_000_000  # an answer may hold the picture itself, as a data URI
_MIN_CANCEL_AFTER_S = 5  # Replicate takes no shorter deadline
_CLOCK_SKEW = timedelta(seconds=60)
_KEPT_FOR = timedelta(minutes=55)  # Replicate removes inputs, our token among them, after an hour
_MAX_PAGES = 50  # of 100 predictions: more than the rate limit lets be bought in eight minutes
_MAX_HOLD_BACK_S = 60.0  # the read limit is one a minute long
_PAUSES_S = (0.5, 1.5)


class ReplicateProvider:
    """The seam to Replicate's HTTP API, version 1.

    It is called through httpx and not through its client: the stable client has no time limit on creates unless it waits for
    the picture, does not know the status `aborted` and cannot set Cancel-After; the next one repeats creates on its own.
    """

    name = "replicate"
    synchronous = False

    def __init__(
        self,
        *,
        token: SecretStr,
        catalog: Catalog,
        reads: ReadQuota,
        base_url: str = "https://api.replicate.com",
        http: HttpSettings | None = None,
        submit_timeout_s: float = 30.0,
        read_timeout_s: float = 20.0,
    ) -> None:
        self.submit_timeout_s = submit_timeout_s
        self._read_timeout_s = read_timeout_s
        self._catalog = catalog
        self._provider = catalog.provider(self.name)
        self._rates = {entry.model: entry.token_rates for entry in catalog.models if entry.provider == self.name}
        self._token_fields = {entry.model: entry.input.token for entry in catalog.models if entry.provider == self.name}
        self._reads = reads
        self._client = build_client(base_url, token, http or HttpSettings())
        self._downloader = Downloader(self._client)

    async def submit(self, purchase: Purchase) -> JobReport:
        """Buy a prediction, once; `submit_timeout_s` bounds the uploads and the create together."""
        async with one_purchase(self._client, purchase, timeout_s=self.submit_timeout_s) as call:
            entry = self._catalog.entry(self.name, purchase.model)
            body: dict[str, Any] = {"input": await model_input(purchase, entry, self._upload)}
            if purchase.webhook_url is not None:
                body |= {"webhook": purchase.webhook_url, "webhook_events_filter": ["completed"]}
            request = call.build(
                f"/v1/models/{purchase.model}/predictions",
                json=body,
                headers={"Cancel-After": f"{max(_MIN_CANCEL_AFTER_S, purchase.deadline_s)}s"},
            )
            answer = await call.send(request, max_bytes=_MAX_ANSWER_BYTES)
        if not answer.is_success:
            raise create_refusal(answer)
        fields = answer.fields()
        if not is_job_id(fields.get("id")):
            raise OutcomeUnknown(reason="UnreadableAnswer", status=answer.status)
        return self._prediction(fields, fields["id"])

    async def poll(self, job_id: str) -> JobReport:
        """Ask where a prediction stands; waits for the read quota. Raises JobNotFound, too."""
        answer = await self._look(self._client.build_request("GET", self._path(job_id)))
        if not answer.is_success:
            raise poll_refusal(answer)
        return self._report(answer, job_id)

    async def cancel(self, job_id: str) -> JobReport:
        """Stop a prediction; safe to repeat, and an ended prediction stays as it ended."""
        path = f"{self._path(job_id)}/cancel"
        answer = await repeat(
            lambda: self._look(self._client.build_request("POST", path)),
            on=(ProviderUnavailable, ProviderUnreachable),
            pauses_s=_PAUSES_S,
        )
        return self._report(answer, job_id) if answer.is_success else await self.poll(job_id)

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """Look through the list of predictions since `sent_at` for our token.

        Conclusive only when every page was read and every prediction on them showed what it was made from. A page that
        cannot be read raises ProviderUnavailable, ProviderUnreachable or ProviderBusy: look again later.
        """
        query = _created_after(sent_at)
        legible = datetime.now(UTC) - sent_at < _KEPT_FOR
        for _ in range(_MAX_PAGES):
            rows, query = await self._page(query)
            for row in rows:
                if _carries(row, token):
                    return LostJob(self._prediction(row, row["id"]), conclusive=True)
                legible = legible and bool(row.get("input"))
            if not query:
                return LostJob(None, conclusive=legible)
        return LostJob(None, conclusive=False)

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """All predictions of the account since then, newest first, as far back as the list is read for a look-up."""
        query = _created_after(since)
        for _ in range(_MAX_PAGES):
            rows, query = await self._page(query)
            for row in rows:
                made_at = _moment(row.get("created_at")) or since
                yield ListedJob(self._token_in(row), made_at, self._prediction(row, row["id"]))
            if not query:
                return

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """Download a finished picture, of at most `max_bytes`."""
        return await self._downloader.fetch(output, max_bytes=max_bytes)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def _upload(self, body: bytes, content_type: str) -> str:
        """Put a reference picture where the model can read it; Replicate deletes it after 24 hours."""
        await self._reads.take()
        file = ("reference", body, content_type)
        request = self._client.build_request("POST", "/v1/files", files={"content": file})
        try:
            answer = await ask(self._client, request, timeout_s=self.submit_timeout_s, max_bytes=_MAX_ANSWER_BYTES)
        except ProviderUnavailable as error:
            raise ProviderUnreachable(**error.facts) from None  # for the purchase, nothing has left yet
        if not answer.is_success:
            raise upload_refusal(answer)
        urls = answer.fields().get("urls")
        url = urls.get("get") if isinstance(urls, dict) else None
        if not is_text(url):
            raise ProviderUnreachable(reason="UnreadableAnswer")
        return url

    async def _page(self, query: str) -> tuple[list[dict[str, Any]], str]:
        """One page of the list, and the query of the next one (empty: this is the last)."""
        answer = await repeat(
            lambda: self._read(self._client.build_request("GET", f"/v1/predictions?{query}")),
            on=(ProviderUnavailable, ProviderUnreachable),
            pauses_s=_PAUSES_S,
        )
        fields = answer.fields()
        rows, following = fields.get("results"), fields.get("next")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and is_job_id(row.get("id")) for row in rows):
            raise ProviderUnavailable(reason="UnreadableAnswer")
        if not is_text(following):
            return rows, ""
        # Only the query is taken over: whatever host a page may name, our key goes to the API's.
        return rows, _query_of(following)

    async def _read(self, request: httpx.Request) -> Answer:
        answer = await self._look(request)
        if not answer.is_success:
            raise read_refusal(answer)
        return answer

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

    def _token_in(self, row: dict[str, Any]) -> str | None:
        made_from, webhook = row.get("input"), row.get("webhook")
        field = self._token_fields.get(str(row.get("model")))
        token = made_from.get(field) if isinstance(made_from, dict) else None
        if not is_text(token) and is_text(webhook):
            token = webhook.rpartition("/")[2]
        return token if is_text(token) else None

    def _report(self, answer: Answer, job_id: str) -> JobReport:
        fields = answer.fields()
        if "status" not in fields:
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return self._prediction(fields, job_id)

    def _prediction(self, fields: dict[str, Any], job_id: str) -> JobReport:
        return read_prediction(fields, job_id, self._provider, self._rates.get(str(fields.get("model"))))

    def _path(self, job_id: str) -> str:
        if not is_job_id(job_id):
            raise JobNotFound("This is not an id of a prediction.")
        return f"/v1/predictions/{job_id}"


def _created_after(moment: datetime) -> str:
    since = (moment.astimezone(UTC) - _CLOCK_SKEW).isoformat().replace("+00:00", "Z")
    return str(httpx.QueryParams({"created_after": since}))


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _carries(row: dict[str, Any], token: str) -> bool:
    made_from, webhook = row.get("input"), row.get("webhook")
    by_input = isinstance(made_from, dict) and token in made_from.values()
    return by_input or (isinstance(webhook, str) and token in webhook)


def _query_of(url: str) -> str:
    try:
        query = urlsplit(url).query
    except ValueError:
        query = ""
    if not query:
        raise ProviderUnavailable(reason="UnreadableAnswer")
    return query
