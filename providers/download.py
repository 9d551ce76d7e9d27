"""Fetching a finished picture: bounded in bytes and time, from the schemes we accept, with our key for the API's host only."""

import asyncio

import httpx

from errors import OutputCorrupt, OutputExpired, ProviderBusy, ProviderError, ProviderUnavailable, ProviderUnreachable
from providers import data_uri
from providers.answers import seconds
from providers.base import RemoteFile
from providers.read_call import no_answer, repeat

_MAX_REDIRECTS = 3
_MISSING = {403, 404, 410}  # 403 and 404 are also seen for a moment after a job ends, until the CDN has the file


class Downloader:
    """Downloads of one provider. A short series of tries each; a longer wait is the caller's.

    `pauses_s`: waits between the tries (seconds, with jitter); `timeout_s`: the longest a single try may last.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, pauses_s: tuple[float, ...] = (0.3, 1.0, 2.0), timeout_s: float = 120.0
    ) -> None:
        self._client = client
        self._pauses_s = pauses_s
        self._timeout_s = timeout_s
        self._schemes = {"https", client.base_url.scheme}  # http only where the API itself is http: a local stand-in

    async def fetch(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """The bytes of a picture.

        Raises OutputExpired (still missing after the last try), OutputCorrupt (empty, too many bytes, no data URI),
        ProviderUnavailable (cut, silent or slow: nothing is lost, fetch it again), ProviderUnreachable, ProviderBusy.
        """
        if output.url[:5].lower() == "data:":
            return data_uri.decode(output.url, max_bytes=max_bytes)
        return await repeat(
            lambda: self._try(output.url, max_bytes),
            on=(OutputExpired, ProviderUnavailable, ProviderUnreachable),
            pauses_s=self._pauses_s,
        )

    async def _try(self, url: str, max_bytes: int) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(httpx.URL(url), max_bytes)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise no_answer(error) from None

    async def _follow(self, url: httpx.URL, max_bytes: int) -> bytes:
        for _ in range(_MAX_REDIRECTS + 1):
            if url.scheme not in self._schemes or not url.host:
                raise ProviderError("The provider's picture lies where we do not read.", billed="yes")
            # identity: the limit counts what arrives, and a compressed answer could unpack to anything.
            request = self._client.build_request(
                "GET", url, headers={"Accept": "image/*", "Accept-Encoding": "identity"}
            )
            response = await self._client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    return await _read(response, max_bytes)
                url = url.join(response.headers["location"])
            finally:
                await response.aclose()
        raise ProviderUnavailable(reason="TooManyRedirects")


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    if response.status_code != 200:
        raise _refusal(response)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise OutputCorrupt("The provider's picture is larger than we accept.", max_bytes=max_bytes)
    if not body:
        raise OutputCorrupt("The provider delivered an empty file.")
    return bytes(body)


def _refusal(response: httpx.Response) -> ProviderError:
    status = response.status_code
    if status in _MISSING:
        return OutputExpired(status=status)
    if status == 429:
        return ProviderBusy(retry_after_s=seconds(response.headers.get("retry-after")) or 1.0)
    return ProviderUnavailable(status=status)
