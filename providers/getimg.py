"""getimg.ai: synchronous, and what its newer API answers with is not the picture but a URL that is told once."""

import asyncio
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from errors import (
    DeadlineExceeded,
    ModelGone,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    ProviderUnreachable,
    UnknownModel,
)
from providers.base import FinishedPicture, Purchase, RemoteFile
from providers.catalog import Catalog
from providers.download import Downloader
from providers.getimg_answers import PictureElsewhere, money, read_made
from providers.getimg_errors import create_refusal, read_refusal
from providers.getimg_request import is_version_2, operation_path, request_body
from providers.http import HttpSettings, build_client
from providers.picture_type import content_type_of, is_damaged
from providers.purchase_call import one_purchase
from providers.read_call import ask
from providers.synchronous import SynchronousProvider

_MAX_ANSWER_BYTES = 128_000_000  # an enlarged picture of 4096x4096 pixels in base64, with room
_MAX_PICTURE_BYTES = 96_000_000
_MAX_READ_BYTES = 1_000_000
_READ_TIMEOUT_S = 15.0
# The only copy of a paid picture: much longer than a provider that could be asked again would be tried.
_DOWNLOAD_PAUSES_S = (0.3, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_TIMES_DAMAGED = 2  # a file that arrives damaged is fetched so often once more: it is paid, and its URL is told once


class GetimgProvider(SynchronousProvider):
    """The seam to getimg's image API, versions 2 and 1.

    An answer's id cannot be asked for again, so a URL that is lost is a lost picture: it is downloaded within the purchase.
    """

    name = "getimg"

    def __init__(
        self,
        *,
        key: SecretStr,
        catalog: Catalog,
        base_url: str = "https://api.getimg.ai",
        http: HttpSettings | None = None,
        answer_timeout_s: float = 200.0,  # its own client waits 300 s; pictures take 3 to 60 s
        download_timeout_s: float = 60.0,
        download_pauses_s: tuple[float, ...] = _DOWNLOAD_PAUSES_S,
    ) -> None:
        self.submit_timeout_s = answer_timeout_s + download_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._download_timeout_s = download_timeout_s
        self._damaged_pauses_s = download_pauses_s[:_TIMES_DAMAGED]
        self._catalog = catalog
        # As nothing can be looked up, no purchase may meet a connection that the server is about to close.
        self._client = build_client(base_url, key, http or HttpSettings(), reuse_connections=False)
        self._downloader = Downloader(self._client, pauses_s=download_pauses_s, timeout_s=download_timeout_s)

    async def submit(self, purchase: Purchase) -> FinishedPicture:
        """Buy a picture, wait for it no longer than the purchase's deadline, and bring it home.

        A picture that was made and cannot be downloaded is paid: OutputExpired, OutputCorrupt or ProviderUnavailable, all
        with `billed` yes and the cost that was told. So is one that is given up (the task is canceled) while it is
        downloaded: a ProviderError.
        """
        deadline_s = float(purchase.deadline_s)
        try:
            made = await self._bought(purchase, timeout_s=min(self._answer_timeout_s, deadline_s))
        except OutcomeUnknown as error:
            if deadline_s <= self._answer_timeout_s and error.facts.get("reason") == "TimeoutError":
                # We hung up because the caller wants it no later: buying again could only end the same way.
                raise DeadlineExceeded(billed="unknown") from None
            raise
        return await self._brought_home(made) if isinstance(made, PictureElsewhere) else made

    async def _bought(self, purchase: Purchase, *, timeout_s: float) -> FinishedPicture | PictureElsewhere:
        async with one_purchase(self._client, purchase, timeout_s=timeout_s) as call:
            entry = self._catalog.entry(self.name, purchase.model)
            path = operation_path(entry, purchase.capability)
            request = call.build(path, json=await request_body(purchase, entry, path))
            answer = await call.send(request, max_bytes=_MAX_ANSWER_BYTES)
        if not answer.is_success:
            raise create_refusal(answer)
        return read_made(answer)

    async def _brought_home(self, made: PictureElsewhere) -> FinishedPicture:
        try:
            body = await self._downloaded(made.file)
        except asyncio.CancelledError:
            # Not as it is: what is known of the bill would be lost with it.
            failure = ProviderError("The picture was made, and given up before it was downloaded.", billed="yes")
        except ProviderError as error:
            failure = error
        else:
            return FinishedPicture(body, content_type_of(body), cost_usd=made.cost_usd)
        failure.cost_usd = made.cost_usd
        raise failure from None

    async def _downloaded(self, file: RemoteFile) -> bytes:
        try:
            async with asyncio.timeout(self._download_timeout_s):
                return await self._fetched(file)
        except (ProviderUnreachable, ProviderBusy, ProviderUnavailable, TimeoutError) as error:
            # Never as it is: a purchase that ends as "unreachable" or "busy" counts as not made, and would be made again.
            reason = error.code if isinstance(error, ProviderError) else "timeout"
            raise ProviderUnavailable(
                "The picture was made, but could not be downloaded.", billed="yes", reason=reason
            ) from None

    async def _fetched(self, file: RemoteFile) -> bytes:
        """What stays damaged is handed on as it is: only who decodes it knows for certain."""
        body = await self._downloader.fetch(file, max_bytes=_MAX_PICTURE_BYTES)
        for pause_s in self._damaged_pauses_s:
            if not is_damaged(body):
                break
            await asyncio.sleep(pause_s)
            body = await self._downloader.fetch(file, max_bytes=_MAX_PICTURE_BYTES)
        return body

    async def probe(self, model: str | None = None) -> None:
        """Ask for the account's balance, and for the model where its API knows single models."""
        if model is not None and not self._is_new(model):
            _has_money((await self._read("/v1/account/balance")).get("amount"))
            return
        _has_money((await self._read("/v2/billing/balance")).get("balance"))
        if model is not None:
            await self._read(f"/v2/models/{quote(model, safe='')}")

    def _is_new(self, model: str) -> bool:
        """Whether version 2 has this model."""
        try:
            operations = self._catalog.entry(self.name, model).operation
        except UnknownModel as error:
            raise ModelGone(error.detail) from None
        return all(is_version_2(path) for path in operations.values())

    async def _read(self, path: str) -> dict[str, Any]:
        request = self._client.build_request("GET", path)
        answer = await ask(self._client, request, timeout_s=_READ_TIMEOUT_S, max_bytes=_MAX_READ_BYTES)
        if not answer.is_success:
            raise read_refusal(answer)
        return answer.fields()

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


def _has_money(balance: object) -> None:
    """A balance that cannot be read says nothing against the account."""
    amount = money(balance)
    if amount is not None and amount <= 0:
        raise ProviderQuota
