"""Asking the providers what they say of the models in the catalog today; nothing that is asked costs anything."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Protocol, Self

import httpx
from pydantic import SecretStr

from errors import ModelGone, ProviderError, ProviderUnavailable
from providers.catalog import Catalog
from providers.catalog_differences import Difference, gone, input_differences, shutdown_difference
from providers.http import HttpSettings, build_client
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry
from providers.openai_checks import OpenAIChecks
from providers.read_call import ask
from providers.replicate_errors import probe_refusal

_MAX_ANSWER_BYTES = 8_000_000
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Published:
    """What a provider says of a model; None where it says nothing."""

    inputs: InputSchema | None = None
    shutdown: date | None = None

    def differences(self, entry: ModelEntry) -> list[Difference]:
        """What the row does not have as the provider says it."""
        told = input_differences(entry, self.inputs) if self.inputs else []
        ending = shutdown_difference(entry, self.shutdown)
        return [ending, *told] if ending else told


@dataclass(frozen=True, slots=True)
class Reading:
    """One model's answer: `said`; or that it is gone (`said` is empty); or why it could not be asked (`trouble`)."""

    entry: ModelEntry
    said: Published | None = None
    trouble: ProviderError | None = None

    def differences(self, entry: ModelEntry, today: date) -> list[Difference]:
        """Compared with a row, which may be another than the one that it was asked for by; empty when it was not read."""
        if self.trouble is not None:
            return []
        return [gone(entry, today)] if self.said is None else self.said.differences(entry)


class ModelSource(Protocol):
    """A provider that describes its models."""

    async def published(self, entry: ModelEntry) -> Published:
        """What it says of a model. Raises ModelGone; ProviderError when it cannot be asked."""

    async def close(self) -> None:
        """Give connections back."""


class ReplicateModels:
    """Replicate describes the inputs of each model's version."""

    def __init__(self, *, token: SecretStr, base_url: str) -> None:
        self._client = build_client(base_url, token, HttpSettings())

    async def published(self, entry: ModelEntry) -> Published:
        """The inputs of the version that the row names, else of the latest. Raises ModelGone, ProviderError."""
        path = f"/v1/models/{entry.model}" + (f"/versions/{entry.version}" if entry.version else "")
        answer = await ask(
            self._client, self._client.build_request("GET", path), timeout_s=_TIMEOUT_S, max_bytes=_MAX_ANSWER_BYTES
        )
        if not answer.is_success:
            raise ModelGone() if answer.status == httpx.codes.NOT_FOUND else probe_refusal(answer)
        fields = answer.fields()
        version = fields if entry.version else fields.get("latest_version")
        schema = InputSchema.read(version.get("openapi_schema")) if isinstance(version, dict) else None
        if schema is None:
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return Published(inputs=schema)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


class OpenAIModels:
    """OpenAI tells when a model is shut down, and nothing of its inputs."""

    def __init__(self, *, key: SecretStr, base_url: str) -> None:
        self._checks = OpenAIChecks(key=key, base_url=base_url)

    async def published(self, entry: ModelEntry) -> Published:
        """The shutdown date. Raises ModelGone, ProviderError."""
        return Published(shutdown=await self._checks.shutdown_date(entry.model))

    async def close(self) -> None:
        """Give connections back."""
        await self._checks.close()


class CatalogRefresh:
    """Reads what the providers say, model by model."""

    def __init__(self, catalog: Catalog, sources: dict[str, ModelSource]) -> None:
        self._catalog = catalog
        self._sources = sources

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source in self._sources.values():
            await source.close()

    async def readings(self) -> AsyncIterator[Reading]:
        """One for each model whose provider describes models and has a key here, in the catalog's order."""
        for entry in self._catalog.models:
            if source := self._sources.get(entry.provider):
                yield await _reading(source, entry)


async def _reading(source: ModelSource, entry: ModelEntry) -> Reading:
    try:
        return Reading(entry, said=await source.published(entry))
    except ModelGone:
        return Reading(entry)
    except ProviderError as trouble:
        return Reading(entry, trouble=trouble)
