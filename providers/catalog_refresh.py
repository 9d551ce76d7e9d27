"""Asking the providers what they say of the models in the catalog today; nothing that is asked costs anything."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Protocol, Self

from errors import ModelGone, ProviderError
from providers.catalog import Catalog
from providers.catalog_differences import (
    Difference,
    gone,
    input_differences,
    price_difference,
    shutdown_difference,
)
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry


@dataclass(frozen=True, slots=True)
class Published:
    """What a provider says of a model; None where it says nothing. `usd`: what a picture costs."""

    inputs: InputSchema | None = None
    shutdown: date | None = None
    usd: Decimal | None = None

    def differences(self, entry: ModelEntry) -> list[Difference]:
        """What the row does not have as the provider says it."""
        told = [shutdown_difference(entry, self.shutdown), price_difference(entry, self.usd)]
        inputs = input_differences(entry, self.inputs) if self.inputs else []
        return [*filter(None, told), *inputs]


@dataclass(frozen=True, slots=True)
class Reading:
    """One model's answer: what is `said` of it, that it `is_gone`, or why it could not be asked (`trouble`).

    Nothing of these: its provider describes other models, and not this one.
    """

    entry: ModelEntry
    said: Published | None = None
    is_gone: bool = False
    trouble: ProviderError | None = None

    @property
    def is_undescribed(self) -> bool:
        """True when nothing can be compared, today or on any other day."""
        return self.said is None and not self.is_gone and self.trouble is None

    def differences(self, entry: ModelEntry, today: date) -> list[Difference]:
        """Compared with a row, which may be another than the one that it was asked for by; empty when it was not read."""
        if self.is_gone:
            return [gone(entry, today)]
        return self.said.differences(entry) if self.said else []


class ModelSource(Protocol):
    """A provider that describes its models."""

    async def published(self, entry: ModelEntry) -> Published | None:
        """What it says of a model; None: it describes none of this kind. Raises ModelGone; ProviderError when it cannot be asked."""

    async def close(self) -> None:
        """Give connections back."""


class CatalogRefresh:
    """Reads what the providers say, model by model."""

    def __init__(self, catalog: Catalog, sources: Mapping[str, ModelSource]) -> None:
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
        return Reading(entry, is_gone=True)
    except ProviderError as trouble:
        return Reading(entry, trouble=trouble)
