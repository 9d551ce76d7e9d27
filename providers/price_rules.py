"""What a picture costs: by a table of qualities and sizes, a flat price, the seconds of a GPU, or the megapixels."""

from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from contracts.frozen import Frozen
from contracts.requests import Quality

Usd = Decimal

QUALITIES: tuple[Quality, ...] = ("low", "medium", "high")

_MOST_TOKENS = 1_000_000
_MEGAPIXEL = Decimal(1_000_000)


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


class PriceRules(Frozen):
    """The part of a model's row that says what it costs: exactly one of the four rules, and what comes on top.

    `prices`: USD a picture, by quality and by the pixels that the model gives. `flat_usd`: a picture. `per_second_usd`: a
    second of its GPU, of which a picture takes `typical_gpu_s`, and `max_gpu_s` at most. `per_megapixel_usd`: a million
    pixels of the picture. `per_reference_usd`: for each picture to work from. `max_over_price` and `prompt_max_usd`: what a
    purchase may cost above its price.
    """

    prices: dict[Quality, dict[str, Usd]] = Field(default_factory=dict)
    flat_usd: Usd | None = Field(default=None, ge=0)
    per_second_usd: Usd | None = Field(default=None, gt=0)
    typical_gpu_s: Decimal | None = Field(default=None, gt=0)
    max_gpu_s: Decimal | None = Field(default=None, gt=0)
    per_megapixel_usd: Usd | None = Field(default=None, gt=0)
    per_reference_usd: Usd = Field(default=Decimal(0), ge=0)
    max_over_price: Decimal = Field(default=Decimal(1), ge=1)
    prompt_max_usd: Usd = Field(default=Decimal(0), ge=0)
    token_rates: TokenRates | None = None

    @model_validator(mode="after")
    def _exactly_one_rule(self) -> Self:
        rules = [bool(self.prices), *(rule is not None for rule in (self.flat_usd, self.per_second_usd))]
        if [*rules, self.per_megapixel_usd is not None].count(True) != 1:
            raise ValueError("give exactly one of prices, flat_usd, per_second_usd and per_megapixel_usd")
        seconds = (self.typical_gpu_s, self.max_gpu_s)
        if self.per_second_usd is None:
            if seconds != (None, None):
                raise ValueError("typical_gpu_s and max_gpu_s belong to per_second_usd")
        elif self.typical_gpu_s is None or self.max_gpu_s is None or self.typical_gpu_s > self.max_gpu_s:
            raise ValueError("per_second_usd needs typical_gpu_s, and a max_gpu_s that is not less")
        return self

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities that can be bought; a model without levels makes every one of them alike."""
        return tuple(self.prices) or QUALITIES

    @property
    def has_quality_levels(self) -> bool:
        """False: it makes pictures of one quality only."""
        return bool(self.prices)

    @property
    def is_priced_by_pixels(self) -> bool:
        """True when a price cannot be told without the picture's size."""
        return bool(self.prices) or self.per_megapixel_usd is not None

    def picture_usd(self, quality: Quality, pixels: tuple[int, int] | None) -> Decimal:
        """What one picture of `pixels` (None: where they do not count) is expected to cost, without references (USD)."""
        if self.flat_usd is not None:
            return self.flat_usd
        if self.per_second_usd is not None and self.typical_gpu_s is not None:
            return self.per_second_usd * self.typical_gpu_s
        if pixels is None:
            raise ValueError("this price needs the picture's pixels")
        if self.per_megapixel_usd is not None:
            return self.per_megapixel_usd * pixels[0] * pixels[1] / _MEGAPIXEL
        return _from_row(self.prices[quality], pixels)

    def most_usd(self, expected: Decimal) -> Decimal:
        """What a purchase of this expected price may cost at most (USD)."""
        if self.per_second_usd is not None and self.typical_gpu_s is not None and self.max_gpu_s is not None:
            expected += self.per_second_usd * (self.max_gpu_s - self.typical_gpu_s)
        return expected * self.max_over_price + self.prompt_max_usd


def _from_row(row: dict[str, Usd], pixels: tuple[int, int]) -> Decimal:
    """A size that is not in the table counts as its dearest one, and in proportion where it is larger than all."""
    if listed := row.get(f"{pixels[0]}x{pixels[1]}"):
        return listed
    largest = max(_area(words) for words in row)
    return max(row.values()) * max(Decimal(1), Decimal(pixels[0] * pixels[1]) / largest)


def _area(words: str) -> int:
    width, _, height = words.partition("x")
    return int(width) * int(height)
