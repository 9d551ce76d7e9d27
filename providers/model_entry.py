"""One row of the catalog: a model, what it can make, what it costs, and how a wanted size is asked of it."""

from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from contracts.frozen import Frozen
from contracts.requests import Quality
from errors import Billed, UnsupportedSize

Shape = Literal["square", "wide"]
Capability = Literal["text_to_image", "image_to_image"]
Usd = Decimal

_MOST_TOKENS = 1_000_000
MAX_ENLARGEMENT = 1.5  # more than that shows: 1280x720 to 1920x1080 is the most that still looks right


class ProviderEntry(Frozen):
    """A vendor: how its jobs behave, and how often it may be called (calls a minute)."""

    name: str
    title: str
    key_variable: str
    recoverable: bool
    synchronous: bool
    canceled_billed: Billed
    failed_billed: Billed
    creates_per_minute: PositiveInt
    reads_per_minute: PositiveInt


class SizeRecipe(Frozen):
    """What to ask a model for (`request`), and the pixels it then gives."""

    shape: Shape
    request: str
    width: PositiveInt
    height: PositiveInt
    exact: tuple[str, ...] = ()

    @property
    def gives(self) -> tuple[int, int]:
        """(width, height) in pixels of the model's picture, before any crop."""
        return self.width, self.height

    def enlargement(self, size: tuple[int, int]) -> float:
        """How much the picture must be enlarged to cover `size` (pixels); below 1 it is reduced."""
        return max(size[0] / self.width, size[1] / self.height)


class InputFields(Frozen):
    """What the provider calls its inputs, and the inputs that never change."""

    prompt: str = "prompt"
    quality: str = "quality"
    size: str
    references: str
    token: str
    fixed: dict[str, str | int] = Field(default_factory=dict)


class TokenRates(Frozen):
    """USD per million tokens."""

    text_in: Usd
    image_in: Usd
    image_out: Usd

    def cost_usd(self, *, text_in: int, image_in: int, image_out: int) -> Decimal | None:
        """What so many tokens cost (USD); None for counts that no picture has: a slip must not become a bill."""
        if any(not 0 <= count < _MOST_TOKENS for count in (text_in, image_in, image_out)):
            return None
        return (text_in * self.text_in + image_in * self.image_in + image_out * self.image_out) / 1_000_000


class ModelEntry(Frozen):
    """A model at a provider. Prices in USD a picture, by quality and by the pixels that the model gives."""

    provider: str
    model: str
    family: str
    title: str
    automatic: bool = False
    capabilities: tuple[Capability, ...] = Field(min_length=1)
    max_references: int = Field(ge=0)
    typical_s: PositiveInt
    recipes: tuple[SizeRecipe, ...] = Field(min_length=1)
    prices: dict[Quality, dict[str, Usd]] = Field(min_length=1)
    per_reference_usd: Usd = Field(ge=0)
    max_over_price: Decimal = Field(default=Decimal(1), ge=1)
    prompt_max_usd: Usd = Field(default=Decimal(0), ge=0)
    token_rates: TokenRates | None = None
    checked: date
    shutdown: date | None = None
    replaced_by: str | None = None
    input: InputFields

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
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities that can be bought."""
        return tuple(self.prices)

    def is_retired(self, today: date) -> bool:
        """True from the day on which the provider shuts the model down."""
        return self.shutdown is not None and today >= self.shutdown

    def recipe(self, shape: Shape, size: tuple[int, int] | None) -> SizeRecipe:
        """The best start for a picture of `size` pixels (None: what the model gives). Raises UnsupportedSize."""
        of_shape = [recipe for recipe in self.recipes if recipe.shape == shape]
        if size is None and of_shape:
            return of_shape[0]
        if size is not None:
            words = f"{size[0]}x{size[1]}"
            best = [recipe for recipe in of_shape if words in recipe.exact]
            large_enough = [recipe for recipe in of_shape if recipe.enlargement(size) <= MAX_ENLARGEMENT]
            for recipe in [*best, *large_enough]:
                return recipe
        wanted = shape if size is None else f"{size[0]}x{size[1]}"
        raise UnsupportedSize(f"{self.model} cannot make {wanted}.", model=self.model, size=wanted)

    def price(self, *, quality: Quality, shape: Shape, size: tuple[int, int] | None, references: int) -> Decimal:
        """What one picture is expected to cost (USD). Raises UnsupportedSize."""
        recipe = self.recipe(shape, size)
        return self.prices[quality][f"{recipe.width}x{recipe.height}"] + references * self.per_reference_usd

    def max_price(self, *, quality: Quality, shape: Shape, size: tuple[int, int] | None, references: int) -> Decimal:
        """What one picture may cost at most (USD): the amount to hold. Raises UnsupportedSize."""
        expected = self.price(quality=quality, shape=shape, size=size, references=references)
        return expected * self.max_over_price + self.prompt_max_usd
