"""Replicate: predictions that are bought with one call, polled by id, and found again by our token."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from errors import JobNotFound, ModelGone, OutcomeUnknown, ProviderUnavailable
from providers.answers import Answer
from providers.base import JobReport, ListedJob, LostJob, Purchase, RemoteFile
from providers.catalog import Catalog
from providers.download import Downloader
from providers.http import HttpSettings, build_client
from providers.model_entry import ModelEntry
from providers.purchase_call import one_purchase
from providers.read_quota import ReadQuota
from providers.replicate_answers import is_job_id, read_prediction
from providers.replicate_errors import create_refusal, poll_refusal, probe_refusal
from providers.replicate_input import model_input
from providers.replicate_marks import Mark, note, where_token_rides
from providers.replicate_reads import MAX_ANSWER_BYTES, ListTooLong, ReplicateReads
from providers.replicate_search import ReplicateSearch, moment

_MIN_CANCEL_AFTER_S = 5  # Replicate takes no shorter deadline


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
        self._catalog = catalog
        self._provider = catalog.provider(self.name)
        self._entries = {entry.model: entry for entry in catalog.models if entry.provider == self.name}
        self._client = build_client(base_url, token, http or HttpSettings())
        self._reads = ReplicateReads(
            self._client, reads, read_timeout_s=read_timeout_s, upload_timeout_s=submit_timeout_s
        )
        self._search = ReplicateSearch(self._reads, self._entries)
        self._downloader = Downloader(self._client)

    async def submit(self, purchase: Purchase) -> JobReport:
        """Buy a prediction, once; `submit_timeout_s` bounds the uploads and the create together."""
        async with one_purchase(self._client, purchase, timeout_s=self.submit_timeout_s) as call:
            entry = self._catalog.entry(self.name, purchase.model)
            path, body = _order(entry, await self._input(purchase, entry))
            if purchase.webhook_url is not None:
                body |= {"webhook": purchase.webhook_url, "webhook_events_filter": ["completed"]}
            headers = {"Cancel-After": f"{max(_MIN_CANCEL_AFTER_S, purchase.deadline_s)}s"}
            answer = await call.send(call.build(path, json=body, headers=headers), max_bytes=MAX_ANSWER_BYTES)
        if not answer.is_success:
            raise create_refusal(answer)
        fields = answer.fields()
        if not is_job_id(fields.get("id")):
            raise OutcomeUnknown(reason="UnreadableAnswer", status=answer.status)
        return self._prediction(fields, fields["id"])

    async def poll(self, job_id: str) -> JobReport:
        """Ask where a prediction stands; waits for the read quota. Raises JobNotFound, too."""
        answer = await self._reads.look("GET", _path(job_id))
        if not answer.is_success:
            raise poll_refusal(answer)
        return self._report(answer, job_id)

    async def cancel(self, job_id: str) -> JobReport:
        """Stop a prediction; safe to repeat, and an ended prediction stays as it ended."""
        answer = await self._reads.steady_look("POST", f"{_path(job_id)}/cancel")
        return self._report(answer, job_id) if answer.is_success else await self.poll(job_id)

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """Look through the list of predictions since `sent_at` for the one that was bought with our token.

        Conclusive only when every page was read and every prediction on them showed what it was made from, and when no two
        purchases have the same input where the input is all that tells them apart. A page that cannot be read raises
        ProviderUnavailable, ProviderUnreachable or ProviderBusy: look again later.
        """
        found, certain = await self._search.bought_with(token, sent_at)
        return LostJob(self._prediction(found, found["id"]) if found else None, conclusive=certain)

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """All predictions of the account since then, newest first, as far back as the list is read for a look-up."""
        async with aclosing(self._search.predictions(since)) as listed:
            try:
                async for fields in listed:
                    made_at = moment(fields.get("created_at")) or since
                    report = self._prediction(fields, fields["id"])
                    yield ListedJob(self._search.token_in(fields), made_at, report)
            except ListTooLong:
                return

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """Download a finished picture, of at most `max_bytes`."""
        return await self._downloader.fetch(output, max_bytes=max_bytes)

    async def probe(self, model: str | None = None) -> None:
        """Ask for the model (a community model's own version), or for the account; both are free.

        Raises ProviderUnreachable, ProviderUnavailable, ProviderBusy, ProviderCredentials, ProviderQuota, ModelGone.
        """
        answer = await self._reads.look("GET", _about(self._entries.get(model)) if model else "/v1/account")
        if not answer.is_success:
            raise probe_refusal(answer)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def _input(self, purchase: Purchase, entry: ModelEntry) -> dict[str, Any]:
        """The model's input, with all uploaded that it needs and that a lost purchase is found again by."""

        async def upload(body: bytes, content_type: str) -> str:
            mark = Mark(diorama_token=purchase.token, model=entry.model)
            return await self._reads.upload(body, content_type, mark.model_dump_json(exclude_defaults=True))

        made_from = await model_input(purchase, entry, upload)
        if where_token_rides(purchase, entry) == "note":
            written = note(purchase, entry, made_from).model_dump_json()
            await self._reads.upload(written.encode(), "application/json", written)
        return made_from

    def _report(self, answer: Answer, job_id: str) -> JobReport:
        fields = answer.fields()
        if "status" not in fields:
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return self._prediction(fields, job_id)

    def _prediction(self, fields: dict[str, Any], job_id: str) -> JobReport:
        return read_prediction(fields, job_id, self._provider, self._entries.get(str(fields.get("model"))))


def _order(entry: ModelEntry, made_from: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and body of a create: official models have an address of their own, community models are bought by version."""
    if entry.version is None:
        return f"/v1/models/{entry.model}/predictions", {"input": made_from}
    return "/v1/predictions", {"version": entry.version, "input": made_from}


def _about(entry: ModelEntry | None) -> str:
    if entry is None:
        raise ModelGone("The catalog has no such model.")
    version = f"/versions/{entry.version}" if entry.version else ""
    return f"/v1/models/{entry.model}{version}"


def _path(job_id: str) -> str:
    if not is_job_id(job_id):
        raise JobNotFound("This is not an id of a prediction.")
    return f"/v1/predictions/{job_id}"
