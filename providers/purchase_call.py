"""Calling a create: once, within one time limit, knowing whether anything of it may have reached the provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from errors import (
    ModelGone,
    OutcomeUnknown,
    ProviderError,
    ProviderRejectedInput,
    ProviderUnreachable,
    RequestError,
    StorageError,
    UnknownModel,
)
from providers.answers import Answer, read_answer
from providers.base import Purchase

Upload = tuple[str, tuple[str, bytes, str]]  # form field, (file name, bytes, content type)

# httpcore's names for the moments before the head, and before the body, of a request are written to a connection.
_FIRST_BYTE = "http11.send_request_headers.started"
_BODY = "http11.send_request_body.started"


class SentTooLate(Exception):
    """The moment until which this process was allowed to send has passed."""


class PurchaseCall:
    """One create. `may_have_left` turns true just before the first byte of the request is written.

    `first_byte_by` is looked at in that moment, and before the body once more: a process that was paused since it was
    allowed to send must not send any more, because another may be buying by now. Without its body a create buys nothing.
    """

    def __init__(self, client: httpx.AsyncClient, timeout_s: float, first_byte_by: float | None = None) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._first_byte_by = first_byte_by
        self.may_have_left = False

    async def send(self, request: httpx.Request, *, max_bytes: int) -> Answer:
        """Send the create and read its answer, of at most `max_bytes`. Never repeated."""
        async with self.opened(request) as response:
            return await read_answer(response, max_bytes=max_bytes)

    @asynccontextmanager
    async def opened(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """Send the create and leave its answer to the block to be read as it comes. Never repeated."""
        request.extensions = {**request.extensions, "trace": self._trace}
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def build(
        self,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[Upload] = (),
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        """A POST whose silences are bounded by the call's own limit: a synchronous provider is silent for minutes."""
        timeout = httpx.Timeout(self._timeout_s, connect=self._client.timeout.connect)
        return self._client.build_request(
            "POST", path, json=json, data=form, files=list(files) or None, headers=headers, timeout=timeout
        )

    def failure(self, reason: str) -> ProviderError:
        """What a call without a usable answer means for the money."""
        if self.may_have_left:
            return OutcomeUnknown(reason=reason)
        return ProviderUnreachable(reason=reason)

    async def _trace(self, event: str, _info: object) -> None:
        if event in {_FIRST_BYTE, _BODY}:
            if self._first_byte_by is not None and time.monotonic() > self._first_byte_by:
                raise SentTooLate
            self.may_have_left = True


@asynccontextmanager
async def one_purchase(
    client: httpx.AsyncClient, purchase: Purchase, *, timeout_s: float
) -> AsyncIterator[PurchaseCall]:
    """All that a purchase takes, uploads included, within `timeout_s` seconds.

    Raises ProviderUnreachable when nothing can have been sent (a reference picture that could not be read or uploaded is
    such a case) and OutcomeUnknown when something may have been, whatever went wrong. What the catalog does not have is
    a definite refusal, and so is a ProviderError, which passes through, as a StorageError of our own does.
    """
    call = PurchaseCall(client, timeout_s, purchase.first_byte_by)
    try:
        async with asyncio.timeout(timeout_s):
            yield call
    except (ProviderError, StorageError):  # a reference that our own store cannot give now is no fault of the provider
        raise
    except UnknownModel as error:
        raise ModelGone(error.detail) from None
    except RequestError as error:  # a size that the catalog has no recipe for
        raise ProviderRejectedInput(error.detail) from None
    except Exception as error:  # noqa: BLE001 - after the first byte no error at all may look like "not bought"
        # Not chained: the original's text may hold URLs, and causes travel into workflow histories.
        raise call.failure(type(error).__name__) from None
