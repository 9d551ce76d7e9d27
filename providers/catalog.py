"""The catalog of providers and models: loaded from catalog.toml, checked strictly, asked for candidates."""

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from contracts.frozen import Frozen
from contracts.pictures import Candidate
from contracts.requests import Quality
from contracts.statuses import Step
from errors import ConfigurationError, UnknownModel
from providers.model_entry import ModelEntry, ProviderEntry, Shape, SizeRecipe
from providers.selection import Wish, select

_TABLES = {"providers", "models"}
Row = TypeVar("Row", bound=Frozen)


class Catalog:
    """Providers and models in order of preference. Immutable."""

    def __init__(self, providers: tuple[ProviderEntry, ...], models: tuple[ModelEntry, ...]) -> None:
        self.providers = providers
        self.models = models
        self._providers = {provider.name: provider for provider in providers}
        self._models = {(entry.provider, entry.model): entry for entry in models}

    @classmethod
    def load(cls) -> Self:
        """The catalog that comes with the program. Raises ConfigurationError naming the entry that is wrong."""
        return cls.parse(resources.files("providers").joinpath("catalog.toml").read_text("utf-8"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """A catalog from TOML. Raises ConfigurationError naming the entry that is wrong."""
        try:
            tables = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"The catalog is not valid TOML: {error}") from error
        if unknown := tables.keys() - _TABLES:
            raise ConfigurationError(f"The catalog has unknown tables: {', '.join(sorted(unknown))}")
        providers = tuple(_read(ProviderEntry, row, row.get("name")) for row in tables.get("providers", []))
        models = tuple(
            _read(ModelEntry, row, f"{row.get('provider')} {row.get('model')}") for row in tables.get("models", [])
        )
        _check(providers, models)
        return cls(providers, models)

    def provider(self, name: str) -> ProviderEntry:
        """The row of a provider. Raises UnknownModel."""
        if name not in self._providers:
            raise UnknownModel(f"There is no provider {name!r}.", known=", ".join(self._providers))
        return self._providers[name]

    def entry(self, provider: str, model: str) -> ModelEntry:
        """The row of a model at a provider. Raises UnknownModel."""
        self.provider(provider)
        if (provider, model) not in self._models:
            raise UnknownModel(f"The provider {provider!r} has no model {model!r} in the catalog.")
        return self._models[provider, model]

    def recipe(self, entry: ModelEntry, size: tuple[int, int] | None, *, shape: Shape | None = None) -> SizeRecipe:
        """What to ask a model for to reach `size` (pixels); None: what it gives in that shape. Raises UnsupportedSize."""
        return entry.recipe(shape or _shape_of(size), size)

    def price(
        self,
        entry: ModelEntry,
        quality: Quality,
        size: tuple[int, int] | None,
        references: int,
        *,
        shape: Shape | None = None,
    ) -> Decimal:
        """What one picture is expected to cost (USD); give `shape` where `size` is None. Raises UnsupportedSize."""
        return entry.price(quality=quality, shape=shape or _shape_of(size), size=size, references=references)

    def candidates(
        self,
        *,
        step: Step,
        size: tuple[int, int] | None,
        quality: Quality,
        references: int,
        provider: str | None,
        model: str | None,
        force: bool,
        configured: frozenset[str],
        today: date,
        review_above_usd: Decimal,
    ) -> tuple[Candidate, ...]:
        """The models that can make this picture, best first; `size` in pixels, None for what the model gives.

        Without wishes these are the automatic models of the configured providers. A model that is wished for by its id is
        followed by the same model at other providers. A purchase that may cost more than `review_above_usd` and whose
        outcome stays unknown waits for an operator; a cheaper one is bought again.

        Raises UnknownModel (also when no provider has a key here), ModelRetired, UnsupportedSize, InvalidRequest.
        """
        if provider is not None:
            self.provider(provider)
        wish = Wish(
            step=step,
            size=size,
            quality=quality,
            references=references,
            provider=provider,
            model=model,
            force=force,
            today=today,
        )
        chosen = select(self.models, self._providers, wish, configured)
        return tuple(_candidate(entry, wish, review_above_usd) for entry in chosen)


def _shape_of(size: tuple[int, int] | None) -> Shape:
    return "wide" if size is not None and size[0] > size[1] else "square"


def _candidate(entry: ModelEntry, wish: Wish, review_above_usd: Decimal) -> Candidate:
    max_usd = entry.max_price(quality=wish.quality, shape=wish.shape, size=wish.size, references=wish.references)
    return Candidate(
        provider=entry.provider,
        model=entry.model,
        max_usd=max_usd,
        likely_usd=entry.price(quality=wish.quality, shape=wish.shape, size=wish.size, references=wish.references),
        unknown_policy="review" if max_usd > review_above_usd else "resubmit",
    )


def _read(kind: type[Row], row: Mapping[str, Any], name: object) -> Row:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'entry'}: {problem['msg']}" for problem in error.errors()
        )
        raise ConfigurationError(f"Catalog entry {name!r}: {problems}") from error


def _check(providers: tuple[ProviderEntry, ...], models: tuple[ModelEntry, ...]) -> None:
    names = [provider.name for provider in providers]
    keys = [(entry.provider, entry.model) for entry in models]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Catalog entry {name!r}: there are two providers of this name")
    for entry, key in zip(models, keys, strict=True):
        where = f"Catalog entry '{entry.provider} {entry.model}'"
        if keys.count(key) > 1:
            raise ConfigurationError(f"{where}: there are two entries for this model")
        if entry.provider not in names:
            raise ConfigurationError(f"{where}: there is no such provider")
        if entry.replaced_by is not None and (entry.provider, entry.replaced_by) not in keys:
            raise ConfigurationError(f"{where}: replaced_by names an unknown model {entry.replaced_by!r}")
