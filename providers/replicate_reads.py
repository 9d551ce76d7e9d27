"""Replicate's calls that buy nothing: looks, lists and uploads, within the read limit."""

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import httpx

from errors import ProviderBusy, ProviderUnavailable, ProviderUnreachable
from providers.answers import Answer, is_text
from providers.read_call import ask, repeat
from providers.read_quota import ReadQuota
from providers.replicate_answers import is_job_id
from providers.replicate_errors import read_refusal, upload_refusal

MAX_ANSWER_BYTES = 64_000_000  # an answer may hold the picture itself, as a data URI
MAX_PAGES = 50  # of 100 predictions: more than the rate limit lets be bought in eight minutes

_MAX_HOLD_BACK_S = 60.0  # the read limit is one a minute long
_PAUSES_S = (0.5, 1.5)


class ListTooLong(Exception):
    """A list has more pages than we read."""


class ReplicateReads:
    """Calls that may be repeated. They raise ProviderBusy, ProviderUnavailable (5xx too) or ProviderUnreachable."""

    def __init__(
        self, client: httpx.AsyncClient, quota: ReadQuota, *, read_timeout_s: float, upload_timeout_s: float
    ) -> None:
        self._client = client
        self._quota = quota
        self._read_timeout_s = read_timeout_s
        self._upload_timeout_s = upload_timeout_s

    async def look(self, method: str, path: str, *, timeout_s: float | None = None) -> Answer:
        """One call; any status but 429 and 5xx is an answer."""
        await self._quota.take()
        request = self._client.build_request(method, path)
        timeout_s = timeout_s or self._read_timeout_s
        answer = await ask(self._client, request, timeout_s=timeout_s, max_bytes=MAX_ANSWER_BYTES)
        if answer.status == 429 or answer.status >= 500:
            refusal = read_refusal(answer)
            if isinstance(refusal, ProviderBusy):
                self._quota.hold_back(min(refusal.retry_after_s, _MAX_HOLD_BACK_S))
            raise refusal
        return answer

    async def steady_look(self, method: str, path: str) -> Answer:
        """The same, tried again after short pauses while the provider cannot be reached."""
        unsteady = (ProviderUnavailable, ProviderUnreachable)
        return await repeat(lambda: self.look(method, path), on=unsteady, pauses_s=_PAUSES_S)

    async def rows(self, path: str, query: str = "") -> AsyncGenerator[dict[str, Any]]:
        """All rows of a list, page by page. Raises ListTooLong behind the last page that we read."""
        for _ in range(MAX_PAGES):
            found, query = await self._page(path, query)
            for row in found:
                yield row
            if not query:
                return
        raise ListTooLong

    async def upload(self, body: bytes, content_type: str, metadata: str) -> str:
        """Put a file where a model can read it, with `metadata` (JSON), and give its address; it is deleted after 24 hours.

        Raises ProviderUnreachable when it did not work: for a purchase that needs it, nothing has left yet.
        """
        await self._quota.take()
        content = ("reference", body, content_type)
        written = (None, metadata.encode(), "application/json")
        request = self._client.build_request("POST", "/v1/files", files={"content": content, "metadata": written})
        try:
            answer = await ask(self._client, request, timeout_s=self._upload_timeout_s, max_bytes=MAX_ANSWER_BYTES)
        except ProviderUnavailable as error:
            raise ProviderUnreachable(**error.facts) from None
        if not answer.is_success:
            raise upload_refusal(answer)
        urls = answer.fields().get("urls")
        url = urls.get("get") if isinstance(urls, dict) else None
        if not is_text(url):
            raise ProviderUnreachable(reason="UnreadableAnswer")
        return url

    async def _page(self, path: str, query: str) -> tuple[list[dict[str, Any]], str]:
        """One page of a list, and the query of the next one (empty: this is the last)."""

        async def read() -> Answer:
            answer = await self.look("GET", f"{path}?{query}" if query else path)
            if not answer.is_success:
                raise read_refusal(answer)
            return answer

        answer = await repeat(read, on=(ProviderUnavailable, ProviderUnreachable), pauses_s=_PAUSES_S)
        fields = answer.fields()
        found, following = fields.get("results"), fields.get("next")
        if not isinstance(found, list) or not all(isinstance(row, dict) and is_job_id(row.get("id")) for row in found):
            raise ProviderUnavailable(reason="UnreadableAnswer")
        # Only the query is taken over: whatever host a page may name, our key goes to the API's.
        return found, _query_of(following) if is_text(following) else ""


def _query_of(url: str) -> str:
    try:
        query = urlsplit(url).query
    except ValueError:
        query = ""
    if not query:
        raise ProviderUnavailable(reason="UnreadableAnswer")
    return query
