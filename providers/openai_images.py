"""OpenAI Images: synchronous, so the answer is the picture, and a lost answer is a lost picture."""

import asyncio

import httpx
from pydantic import SecretStr

from errors import DeadlineExceeded, OutcomeUnknown
from providers.base import FinishedPicture, PartialPicture, Purchase
from providers.catalog import Catalog
from providers.http import HttpSettings, build_client
from providers.model_entry import ModelEntry
from providers.openai_answers import read_picture
from providers.openai_errors import create_refusal, read_refusal
from providers.openai_request import form_text, picture_fields, reference_part
from providers.openai_stream import send_streaming
from providers.purchase_call import PurchaseCall, one_purchase
from providers.read_call import ask
from providers.synchronous import SynchronousProvider

_MAX_ANSWER_BYTES = 128_000_000  # a 4K PNG in base64, with room
_PROBE_TIMEOUT_S = 10.0
_MAX_PROBE_BYTES = 4_000_000  # the list of all models has about 20 kB


class OpenAIImagesProvider(SynchronousProvider):
    """The seam to OpenAI's images API.

    Purchases do not go through the openai package: it cannot tell whether a failed request had left, so that "certainly
    not bought" would be lost. The package serves where nothing is bought (see OpenAIChecks) and for typed usage.
    """

    name = "openai"

    def __init__(
        self,
        *,
        key: SecretStr,
        catalog: Catalog,
        base_url: str = "https://api.openai.com/v1",
        http: HttpSettings | None = None,
        submit_timeout_s: float = 240.0,  # pictures take 20 to 190 s
    ) -> None:
        self.submit_timeout_s = submit_timeout_s
        self._catalog = catalog
        # A connection that the server closes just as we reuse it would leave a purchase unknown, and here nothing can look
        # it up. A new one for each costs a tenth of a second of a call that takes twenty.
        self._client = build_client(base_url, key, http or HttpSettings(), reuse_connections=False)

    async def submit(self, purchase: Purchase) -> FinishedPicture:
        """Buy a picture and wait for it, no longer than the purchase's deadline."""
        deadline_s = float(purchase.deadline_s)
        try:
            return await self._bought(purchase, timeout_s=min(self.submit_timeout_s, deadline_s))
        except OutcomeUnknown as error:
            if deadline_s <= self.submit_timeout_s and error.facts.get("reason") == "TimeoutError":
                # We hung up because the caller wants it no later: buying again could only end the same way.
                raise DeadlineExceeded(billed="unknown") from None
            raise

    async def _bought(self, purchase: Purchase, *, timeout_s: float) -> FinishedPicture:
        async with one_purchase(self._client, purchase, timeout_s=timeout_s) as call:
            entry = self._catalog.entry(self.name, purchase.model)
            request = await _request(call, purchase, entry)
            watcher = _watcher(purchase)
            if watcher is None:
                answer = await call.send(request, max_bytes=_MAX_ANSWER_BYTES)
            else:
                answer = await send_streaming(call, request, on_partial=watcher, max_bytes=_MAX_ANSWER_BYTES)
        if not answer.is_success:
            raise create_refusal(answer)
        # Off the loop: a finished picture is some megabytes of base64.
        return await asyncio.to_thread(read_picture, answer, entry.token_rates)

    async def probe(self, model: str | None = None) -> None:
        """Look at the model, or at the list of models: both are free, and need the key.

        Raises ProviderUnreachable, ProviderUnavailable, ProviderBusy, ProviderCredentials, ProviderQuota, ModelGone.
        """
        request = self._client.build_request("GET", f"/models/{model}" if model else "/models")
        answer = await ask(self._client, request, timeout_s=_PROBE_TIMEOUT_S, max_bytes=_MAX_PROBE_BYTES)
        if not answer.is_success:
            raise read_refusal(answer)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


def _watcher(purchase: Purchase) -> PartialPicture | None:
    """Who looks at unfinished pictures; a stream costs tokens for each, so it is asked for only then."""
    return purchase.on_partial if purchase.traits.partials else None


async def _request(call: PurchaseCall, purchase: Purchase, entry: ModelEntry) -> httpx.Request:
    body = picture_fields(purchase, entry)
    if _watcher(purchase) is not None:
        body |= {"stream": True, "partial_images": purchase.traits.partials}
    field = entry.input.references
    if not purchase.references or field is None:
        return call.build("/images/generations", json=body)
    files = [await reference_part(number, image, field) for number, image in enumerate(purchase.references)]
    return call.build("/images/edits", form={name: form_text(value) for name, value in body.items()}, files=files)
