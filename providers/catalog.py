"""The catalog of providers and models: loaded from catalog_data/*.toml, asked for candidates."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from importlib import resources
from pathlib import Path
from typing import Final, Self

from contracts.pictures import Candidate
from contracts.requests import PlannedPicture, Quality
from contracts.statuses import Step
from contracts.wishes import Adjustment, Capability, PictureTraits, Shape
from errors import ConfigurationError, UnknownModel
from providers.adjusting import fit_traits
from providers.budget import Offers, affordable
from providers.catalog_rows import read_rows
from providers.choosing import Option
from providers.model_entry import ModelEntry, ProviderEntry
from providers.selection import Fit, select
from providers.sizes import SizeRecipe
from providers.wish import Wish

MILLIONTH: Final = Decimal("0.000001")
# What is mended after the picture was made is no reason to prefer another model.
MENDED: Final = frozenset({"size", "output_format"})


class Catalog:
    """Providers and models in order of preference. Immutable."""

    def __init__(self, providers: tuple[ProviderEntry, ...], models: tuple[ModelEntry, ...]) -> None:
        self.providers = providers
        self.models = models
        self._providers = {provider.name: provider for provider in providers}
        self._models = {(entry.provider, entry.model): entry for entry in models}

    @classmethod
    def load(cls, overrides: Path | None = None) -> Self:
        """The catalog that comes with the program, changed by the rows in a file of the operator's.

        Raises ConfigurationError naming the entry that is wrong, or the file that cannot be read.
        """
        try:
            changes = overrides.read_text("utf-8") if overrides is not None else ""
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The catalog's overrides cannot be read: {error}") from error
        return cls.load_with(changes)

    @classmethod
    def load_with(cls, overrides: str) -> Self:
        """The catalog that comes with the program, changed by these rows (TOML). Raises ConfigurationError."""
        folder = resources.files("providers").joinpath("catalog_data")
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
        return cls(*read_rows([file.read_text("utf-8") for file in files], overrides))

    @classmethod
    def parse(cls, text: str, overrides: str = "") -> Self:
        """A catalog from TOML. Raises ConfigurationError naming the entry that is wrong."""
        return cls(*read_rows([text], overrides))

    def provider(self, name: str) -> ProviderEntry:
        """The row of a provider. Raises UnknownModel."""
        if name not in self._providers:
            raise UnknownModel(f"There is no provider {name!r}.", known=", ".join(self._providers))
        return self._providers[name]

    def entry(self, provider: str, model: str) -> ModelEntry:
        """The row of a model at a provider. Raises UnknownModel."""
        self.provider(provider)
        if not self.has(provider, model):
            raise UnknownModel(f"The provider {provider!r} has no model {model!r} in the catalog.")
        return self._models[provider, model]

    def has(self, provider: str, model: str) -> bool:
        """Whether there is a row of this model at this provider."""
        return (provider, model) in self._models

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

    def least_price(self, candidate: Candidate, planned: PlannedPicture, quality: Quality) -> Decimal:
        """What a candidate's picture costs at least (USD), when it is made."""
        entry = self.entry(candidate.provider, candidate.model)
        return entry.least_price(quality=quality, shape=planned.shape, size=planned.size, references=planned.references)

    def option(self, position: int, candidate: Candidate) -> Option:
        """A candidate, as it is weighed against others; `position`: its place in the plan."""
        entry, provider = self.entry(candidate.provider, candidate.model), self.provider(candidate.provider)
        return Option(
            provider=candidate.provider,
            model=candidate.model,
            position=position,
            price_usd=candidate.max_usd if candidate.likely_usd is None else candidate.likely_usd,
            quality_rank=entry.quality_rank,
            typical_s=entry.typical_s,
            creates_per_minute=provider.creates_per_minute,
            recoverable=provider.recoverable,
            adjusted=any(told.parameter not in MENDED for told in candidate.adjustments),
        )

    def traits_for(
        self, entry: ModelEntry, traits: PictureTraits, capability: Capability
    ) -> tuple[PictureTraits, tuple[Adjustment, ...]]:
        """What of the traits can be asked of this model, and what had to be changed or left out for that."""
        return fit_traits(entry, traits, capability)

    def candidates(
        self, planned: PlannedPicture, wish: Wish, *, configured: frozenset[str], review_above_usd: Decimal
    ) -> tuple[Candidate, ...]:
        """The models that can make this picture, best first; see `plan`."""
        return self.plan((planned,), wish, configured=configured, review_above_usd=review_above_usd)[0]

    def plan(
        self, pictures: Sequence[PlannedPicture], wish: Wish, *, configured: frozenset[str], review_above_usd: Decimal
    ) -> tuple[tuple[Candidate, ...], ...]:
        """For each picture the models that can make it, best first, never empty.

        Without wishes these are the automatic models of the configured providers, or all where no automatic one can make it.
        A model that is wished for by its id is followed by the same model at other providers; pinned, it is alone. The first
        one meets every trait; those that miss some come last: whoever orders the models anew keeps them behind the others.
        Each tells in its adjustments how its picture differs from what is asked for, wherever it stands. All together
        cannot cost more than the wish allows, whichever models make them. A purchase that may cost more than
        `review_above_usd` and whose outcome stays unknown waits for an operator; a cheaper one is bought again.

        Raises UnknownModel (also when no provider has a key here), ModelRetired, UnsupportedSize, UnsupportedParameter,
        TooExpensive, InvalidRequest.
        """
        for name in (wish.provider, *wish.providers):
            if name is not None:
                self.provider(name)
        offers: dict[PlannedPicture, Offers] = {}  # pictures that are alike have the same models
        for picture in map(_any_step, pictures):
            if picture not in offers:
                fits = select(self.models, self._providers, picture, wish, configured)
                offers[picture] = [(_candidate(fit, picture, wish, review_above_usd), not fit.missing) for fit in fits]
        wanted = [offers[_any_step(picture)] for picture in pictures]
        within = wanted if wish.max_cost_usd is None else affordable(wanted, wish.max_cost_usd)
        return tuple(tuple(candidate for candidate, _ in of_picture) for of_picture in within)


def _any_step(picture: PlannedPicture) -> PlannedPicture:
    """Variants differ in their step only, which no model asks for."""
    return replace(picture, step=Step.variant_1) if picture.step.value.startswith("variant") else picture


def rounded_up(usd: Decimal) -> Decimal:
    """To a millionth of a USD, as money is kept: so that the sum of what may be bought is never above what was promised."""
    return usd if usd == usd.quantize(MILLIONTH) else usd.quantize(MILLIONTH, ROUND_CEILING)


def _shape_of(size: tuple[int, int] | None) -> Shape:
    if size is None or size[0] == size[1]:
        return "square"
    return "wide" if size[0] > size[1] else "tall"


def _candidate(fit: Fit, planned: PlannedPicture, wish: Wish, review_above_usd: Decimal) -> Candidate:
    entry = fit.entry
    shape, size, references = planned.shape, planned.size, planned.references
    max_usd = entry.max_price(
        quality=wish.quality, shape=shape, size=size, references=references, prompt_tokens=planned.prompt_tokens
    )
    return Candidate(
        provider=entry.provider,
        model=entry.model,
        max_usd=rounded_up(max_usd),
        likely_usd=entry.price(quality=wish.quality, shape=shape, size=size, references=references),
        price_version=entry.checked.isoformat(),
        unknown_policy="review" if max_usd > review_above_usd else "resubmit",
        adjustments=(*fit.missing, *fit.small),
    )
