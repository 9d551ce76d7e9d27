"""One row of the catalog: a model, what it can make, what it costs, and how a wanted size is asked of it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from pydantic import Field, PositiveInt, model_validator

from contracts.frozen import Frozen
from contracts.requests import Quality
from contracts.wishes import Capability, Shape
from errors import Billed, UnsupportedSize
from providers.aspect_ratios import aspect_ratios
from providers.input_fields import InputFields
from providers.price_rules import PriceRules
from providers.sizes import MAX_ENLARGEMENT, SizeGrid, SizeRecipe
from providers.trait_limits import TraitLimits

# What these make has the size of the picture that they are given, or a multiple of it.
SIZED_BY_THE_INPUT: frozenset[Capability] = frozenset({"upscale", "face_restore"})

_SET_BY_A_FIELD = ("seed", "negative_prompt", "strength", "steps", "guidance")

# How long before its shutdown a model's users are warned.
WARNED_FOR = timedelta(days=30)

# Where a picture's size comes from another picture: a usual one four times as large (1024x1024, scale 2).
_ENLARGED_PIXELS = (2048, 2048)


class ProviderEntry(Frozen):
    """A vendor: how its jobs behave, and how many may be bought a minute."""

    name: str
    title: str
    key_variable: str
    recoverable: bool
    synchronous: bool
    canceled_billed: Billed
    failed_billed: Billed
    creates_per_minute: PositiveInt


class ModelEntry(PriceRules):
    """A model at a provider.

    `preference`: models are tried from the lowest to the highest. `automatic`: used without being asked for. `quality_rank`:
    how good its pictures are among all, 10 for the best. `operation`: the vendor's own name or path by capability, where it
    has several. `version`: what a community model at Replicate is called by. `typical_s`: seconds from the purchase to the
    picture. `checked`: the day on which the row was compared with what the vendor publishes.
    """

    provider: str
    model: str
    family: str
    title: str
    preference: int
    automatic: bool = False
    quality_rank: int = Field(ge=1, le=10)
    capabilities: tuple[Capability, ...] = Field(min_length=1)
    operation: dict[Capability, str] = Field(default_factory=dict)
    version: str | None = None
    max_references: int = Field(ge=0)
    typical_s: PositiveInt
    recipes: tuple[SizeRecipe, ...] = ()
    size_grid: SizeGrid | None = None
    traits: TraitLimits = TraitLimits()
    checked: date
    shutdown: date | None = None
    replaced_by: str | None = None
    input: InputFields

    @model_validator(mode="after")
    def _sizes_for_what_it_makes(self) -> Self:
        if not self.is_sized and set(self.capabilities) - SIZED_BY_THE_INPUT:
            raise ValueError("give recipes or a size_grid: only enhancements have the size of their input")
        if unknown := self.operation.keys() - set(self.capabilities):
            raise ValueError(f"operation: it is not capable of {', '.join(sorted(unknown))}")
        if "upscale" in self.capabilities and not self.traits.scales:
            raise ValueError("an upscaler needs traits.scales")
        return self

    @model_validator(mode="after")
    def _a_field_for_what_can_be_set(self) -> Self:
        """Without a field to put it in, a wish that the row says to be met would be dropped silently."""
        names, limits = self.input, self.traits
        needed: dict[str, object] = {name: getattr(limits, name) for name in _SET_BY_A_FIELD}
        needed["background"] = limits.transparent
        needed["quality"] = self.has_quality_levels
        for name, is_known in needed.items():
            if is_known and getattr(names, name) is None:
                raise ValueError(f"input.{name} is missing, although the model knows it")
        if self.max_references and names.references is None and names.image is None:
            raise ValueError("input.references or input.image is missing, although the model takes pictures")
        return self

    @model_validator(mode="after")
    def _every_recipe_has_a_price(self) -> Self:
        missing = [
            f"{quality} {recipe.width}x{recipe.height}"
            for quality, row in self.prices.items()
            for recipe in self.recipes
            if f"{recipe.width}x{recipe.height}" not in row
        ]
        if missing:
            raise ValueError(f"no price for {', '.join(missing)}")
        return self

    @property
    def is_sized(self) -> bool:
        """True when a size can be asked for; False: the picture has that of its input, or a multiple."""
        return bool(self.recipes) or self.size_grid is not None

    @property
    def aspect_ratios(self) -> tuple[str, ...]:
        """The usual ratios of its pictures, such as `16:9`; none where the picture has the shape of its input."""
        return aspect_ratios(self.recipes, self.size_grid)

    def is_retired(self, today: date) -> bool:
        """True from the day on which the provider shuts the model down."""
        return self.shutdown is not None and today >= self.shutdown

    def ends_soon(self, today: date) -> bool:
        """True in the last days before the shutdown, and after it."""
        return self.shutdown is not None and today >= self.shutdown - WARNED_FOR

    def recipe(self, shape: Shape, size: tuple[int, int] | None) -> SizeRecipe:
        """The best start for a picture of `size` pixels (None: what the model gives). Raises UnsupportedSize."""
        of_shape = [recipe for recipe in self.recipes if recipe.shape == shape]
        if size is None:
            found = of_shape
        else:
            words = f"{size[0]}x{size[1]}"
            found = [recipe for recipe in of_shape if words in recipe.exact or recipe.gives == size]
        if not found and self.size_grid is not None and (fitting := self.size_grid.recipe(shape, size)):
            found = [fitting]
        if not found and size is not None:
            found = [recipe for recipe in of_shape if recipe.enlargement(size) <= MAX_ENLARGEMENT]
        if found:
            return found[0]
        wanted = shape if size is None else f"{size[0]}x{size[1]}"
        raise UnsupportedSize(f"{self.model} cannot make {wanted}.", model=self.model, size=wanted)

    def price(self, *, quality: Quality, shape: Shape, size: tuple[int, int] | None, references: int) -> Decimal:
        """What one picture is expected to cost (USD). Raises UnsupportedSize."""
        return self.picture_usd(quality, self._priced_pixels(shape, size)) + references * self.per_reference_usd

    def max_price(
        self,
        *,
        quality: Quality,
        shape: Shape,
        size: tuple[int, int] | None,
        references: int,
        prompt_tokens: int = 0,
    ) -> Decimal:
        """What one picture may cost at most (USD): the amount to hold. Raises UnsupportedSize.

        `prompt_tokens`: of a prompt that may be longer than `prompt_max_usd` has room for.
        """
        most = self.most_usd(self.price(quality=quality, shape=shape, size=size, references=references))
        words_usd = self.token_rates.text_in * prompt_tokens / 1_000_000 if self.token_rates else Decimal(0)
        return most + max(Decimal(0), words_usd - self.prompt_max_usd)

    def least_price(self, *, quality: Quality, shape: Shape, size: tuple[int, int] | None, references: int) -> Decimal:
        """What one picture costs at least (USD), when it is made. Raises UnsupportedSize.

        Nothing where seconds, steps or the pixels of the input are billed, of which there may be few; elsewhere a price that
        may go up by a factor may go down by it, and a picture to work from may be a small one.
        """
        if self.max_over_price == 1 and self.per_second_usd is None:
            return self.price(quality=quality, shape=shape, size=size, references=references)
        if self.per_second_usd is not None or self.traits.steps is not None or not self.is_sized:
            return Decimal(0)
        return self.picture_usd(quality, self._priced_pixels(shape, size)) / self.max_over_price

    def _priced_pixels(self, shape: Shape, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if not self.is_priced_by_pixels:
            return None
        return self.recipe(shape, size).gives if self.is_sized else _ENLARGED_PIXELS
