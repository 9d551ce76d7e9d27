"""What a model costs, as clients see it: one row for each price that differs, whatever rule the catalog has it by."""

from decimal import Decimal
from typing import Self

from pydantic import Field

from contracts.frozen import Frozen
from contracts.requests import Quality
from providers.model_entry import ModelEntry


class PriceAnswer(Frozen):
    """One picture, in USD."""

    quality: Quality | None = Field(description="null: every quality costs the same.")
    size: str | None = Field(description="The pixels that the model gives; null: every size costs the same.")
    usd: Decimal = Field(description="What it is expected to cost.", examples=["0.053"])
    max_usd: Decimal = Field(description="What it can cost at most, which is what is held for it.", examples=["0.1095"])

    @classmethod
    def all_of(cls, entry: ModelEntry) -> tuple[Self, ...]:
        """The prices of a model. Empty: it is priced by the pixels of a picture that nobody knows yet."""
        if entry.prices:
            return tuple(
                cls(quality=quality, size=size, usd=usd, max_usd=entry.most_usd(usd))
                for quality, row in entry.prices.items()
                for size, usd in row.items()
            )
        if entry.per_megapixel_usd is not None:
            return tuple(cls._of_size(entry, width, height) for width, height in _sizes(entry))
        usd = entry.picture_usd("medium", None)
        return (cls(quality=None, size=None, usd=usd, max_usd=entry.most_usd(usd)),)

    @classmethod
    def _of_size(cls, entry: ModelEntry, width: int, height: int) -> Self:
        usd = entry.picture_usd("medium", (width, height))
        return cls(quality=None, size=f"{width}x{height}", usd=usd, max_usd=entry.most_usd(usd))


def _sizes(entry: ModelEntry) -> list[tuple[int, int]]:
    """The sizes that it has by name; of a grid, the usual ones."""
    named = [recipe.gives for recipe in entry.recipes]
    usual = [(1024, 1024), (1536, 1024), (1024, 1536)] if entry.size_grid and not named else []
    return list(dict.fromkeys([*named, *(size for size in usual if entry.size_grid and entry.size_grid.has(size))]))
