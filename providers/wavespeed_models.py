"""What WaveSpeed says of its models: the inputs and the price of each path."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import reduce
from typing import Any

from pydantic import SecretStr

from errors import ModelGone, ProviderUnavailable
from providers.catalog_refresh import Published
from providers.http import HttpSettings, build_client
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry
from providers.read_call import ask
from providers.wavespeed_errors import probe_refusal, says_success

_MAX_ANSWER_BYTES = 64_000_000  # about a thousand models, with a description of each input
_TIMEOUT_S = 60.0


class WaveSpeedModels:
    """One list for all paths, read once; a model of ours may have a path for each thing that it can do."""

    def __init__(self, *, key: SecretStr, base_url: str) -> None:
        self._client = build_client(base_url, key, HttpSettings())
        self._listed: Mapping[str, dict[str, Any]] | None = None

    async def published(self, entry: ModelEntry) -> Published:
        """The inputs of all its paths together, and the price of the first. Raises ModelGone (a path is), ProviderError."""
        if self._listed is None:
            self._listed = await self._list()
        paths = dict.fromkeys(entry.operation.get(capability, entry.model) for capability in entry.capabilities)
        if any(path not in self._listed for path in paths):
            raise ModelGone
        models = [self._listed[path] for path in paths]
        schemas = [schema for model in models for schema in _schemas(model)]
        return Published(inputs=reduce(InputSchema.together_with, schemas) if schemas else None, usd=_price(models[0]))

    async def _list(self) -> dict[str, dict[str, Any]]:
        request = self._client.build_request("GET", "/api/v3/models")
        answer = await ask(self._client, request, timeout_s=_TIMEOUT_S, max_bytes=_MAX_ANSWER_BYTES)
        if not says_success(answer):
            raise probe_refusal(answer)
        rows = answer.fields().get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return {str(row.get("model_id")): row for row in rows}

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


def _schemas(model: Mapping[str, Any]) -> Iterator[InputSchema]:
    described = model.get("api_schema")
    calls = described.get("api_schemas") if isinstance(described, dict) else None
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and call.get("type") == "model_run":
            schema = InputSchema.of(call.get("request_schema"))
            if schema is not None:
                yield schema


def _price(model: Mapping[str, Any]) -> Decimal | None:
    """USD for a picture with the model's own defaults."""
    said = model.get("base_price")
    return Decimal(str(said)).normalize() if isinstance(said, int | float) and not isinstance(said, bool) else None
