"""What getimg says of the models of its newer API: sizes, pictures to work from, prices. The older one has no list."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import SecretStr

from errors import ModelGone, ProviderUnavailable
from providers.catalog_refresh import Published
from providers.getimg_errors import read_refusal
from providers.getimg_request import is_version_2
from providers.http import HttpSettings, build_client
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry
from providers.read_call import ask

_MAX_ANSWER_BYTES = 8_000_000
_TIMEOUT_S = 20.0


class GetimgModels:
    """One list for all models, read once."""

    def __init__(self, *, key: SecretStr, base_url: str) -> None:
        self._client = build_client(base_url, key, HttpSettings())
        self._listed: Mapping[str, dict[str, Any]] | None = None

    async def published(self, entry: ModelEntry) -> Published | None:
        """Aspect ratios, resolutions, pictures to work from, and the price; None for the older API. Raises ModelGone, ProviderError."""
        if not all(is_version_2(path) for path in entry.operation.values()):
            return None
        if self._listed is None:
            self._listed = await self._list()
        model = self._listed.get(entry.model)
        if model is None:
            raise ModelGone
        return Published(inputs=_inputs(model), usd=_price(model, entry.input.fixed.get("resolution")))

    async def _list(self) -> dict[str, dict[str, Any]]:
        request = self._client.build_request("GET", "/v2/models", params={"type": "image"})
        answer = await ask(self._client, request, timeout_s=_TIMEOUT_S, max_bytes=_MAX_ANSWER_BYTES)
        if not answer.is_success:
            raise read_refusal(answer)
        rows = answer.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return {str(row.get("id")): row for row in rows}

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


def _inputs(model: Mapping[str, Any]) -> InputSchema:
    """All models take the same fields; which values, each says for itself."""
    properties: dict[str, dict[str, Any]] = {
        "prompt": {"type": "string"},
        "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"]},
    }
    for name, listed in (("aspect_ratio", "supported_aspect_ratios"), ("resolution", "supported_resolutions")):
        if isinstance(model.get(listed), list):
            properties[name] = {"type": "string", "enum": model[listed]}
    references = model.get("supported_references")
    if isinstance(references, dict) and references.get("reference_image"):
        properties["images"] = {"type": "array", "maxItems": references["reference_image"]}
    return InputSchema(properties, required=frozenset({"prompt"}))


def _price(model: Mapping[str, Any], resolution: object) -> Decimal | None:
    """USD a picture at this resolution; None where the list gives no such rate, which does not mean that it is free."""
    pricing = model.get("pricing")
    rates = pricing.get("rates") if isinstance(pricing, dict) else None
    for rate in rates if isinstance(rates, list) else []:
        fits = isinstance(rate, dict) and rate.get("billable_unit") == "image"
        if fits and rate.get("resolution") in {None, resolution}:
            return _amount(rate.get("unit_price"))
    return None


def _amount(said: object) -> Decimal | None:
    try:
        return Decimal(str(said)).normalize()
    except InvalidOperation:
        return None
