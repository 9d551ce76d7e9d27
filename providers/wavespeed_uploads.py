"""Putting a reference picture where WaveSpeed's models can read it: a ticket from the API, then the bytes to where it points."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from errors import ProviderUnavailable, ProviderUnreachable
from providers.answers import Answer, is_text
from providers.read_call import ask
from providers.wavespeed_answers import data_of
from providers.wavespeed_errors import says_success, upload_refusal

_MAX_ANSWER_BYTES = 1_000_000
_NAMES = {"image/png": "reference.png", "image/jpeg": "reference.jpg", "image/webp": "reference.webp"}
_NOT_OURS_TO_SET = {"authorization", "content-length", "host", "transfer-encoding"}


class Uploads:
    """Uploads of one provider; what was uploaded is kept there for seven days. `take` waits for the read quota."""

    def __init__(self, client: httpx.AsyncClient, take: Callable[[], Awaitable[None]], *, timeout_s: float) -> None:
        self._client = client
        self._take = take
        self._timeout_s = timeout_s
        self._schemes = {"https", client.base_url.scheme}  # http only where the API itself is http: a local stand-in

    async def put(self, body: bytes, content_type: str) -> str:
        """The URL under which a model can read the picture.

        Raises ProviderUnreachable for every fault at their side: for the purchase, nothing has left yet.
        """
        name = _NAMES.get(content_type, "reference")
        ticket = {"filename": name, "size": len(body), "content_type": content_type}
        answer = await self._ask(self._client.build_request("POST", "/api/v3/media/uploads", json=ticket))
        if not says_success(answer):
            raise upload_refusal(answer)
        where = data_of(answer).get("download_url")
        if not is_text(where):
            raise ProviderUnreachable(reason="UnreadableAnswer")
        stored = await self._ask(self._to_storage(data_of(answer).get("upload"), body))
        if not stored.is_success:
            raise ProviderUnreachable(status=stored.status)
        return where

    def _to_storage(self, upload: Any, body: bytes) -> httpx.Request:
        """The request that the ticket describes. Our key goes with it to the API's own host only."""
        told = upload if isinstance(upload, dict) else {}
        url, headers = told.get("url"), told.get("headers")
        if not is_text(url) or not url.startswith(tuple(f"{scheme}://" for scheme in self._schemes)):
            raise ProviderUnreachable(reason="UnreadableAnswer")
        wanted = headers if isinstance(headers, dict) else {}
        kept = {
            name: value for name, value in wanted.items() if is_text(value) and name.lower() not in _NOT_OURS_TO_SET
        }
        return self._client.build_request("PUT", url, content=body, headers=kept)

    async def _ask(self, request: httpx.Request) -> Answer:
        await self._take()
        try:
            return await ask(self._client, request, timeout_s=self._timeout_s, max_bytes=_MAX_ANSWER_BYTES)
        except ProviderUnavailable as error:
            raise ProviderUnreachable(**error.facts) from None
