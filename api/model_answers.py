"""A model as clients see it: what it can do, what it costs, until when, and how it stands now."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Self

from pydantic import Field

from api.model_prices import PriceAnswer
from api.standing_answers import EstimateAnswer, HealthAnswer, LimitAnswer, QueueAnswer
from contracts.frozen import Frozen
from contracts.requests import Quality
from contracts.wishes import Capability, Shape
from providers.model_entry import ModelEntry, ProviderEntry
from providers.sizes import SizeGrid
from providers.trait_limits import TraitLimits

AS_IN_THE_CATALOG: Final = (
    "provider",
    "model",
    "family",
    "title",
    "automatic",
    "capabilities",
    "qualities",
    "quality_rank",
    "aspect_ratios",
    "max_references",
    "traits",
    "per_reference_usd",
    "per_megapixel_usd",
    "shutdown",
    "replaced_by",
    "typical_s",
)


class SizeAnswer(Frozen):
    """A size that the model itself gives, in pixels; others are cut from it."""

    shape: Shape
    width: int
    height: int


class AnySizeAnswer(Frozen):
    """The model gives any size that fits: sides that are multiples of `multiple` pixels, within these limits."""

    multiple: int
    least_pixels: int
    most_pixels: int
    longest_side: int
    widest_ratio: float

    @classmethod
    def of(cls, grid: SizeGrid) -> Self:
        """The grid of a model."""
        return cls(**grid.model_dump(exclude={"request"}))


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of a model besides its row in the catalog. `closed_because`: why nothing is bought from it now."""

    configured: bool
    retired: bool
    closed_because: str | None
    health: HealthAnswer
    queue: QueueAnswer
    limit: LimitAnswer
    estimate: EstimateAnswer


class ModelAnswer(Frozen):
    """A model at a provider."""

    provider: str
    model: str
    family: str = Field(description="Models of one family at several providers are the same model.")
    title: str
    available: bool = Field(description="Whether a new request can be made by it now.")
    unavailable_because: str | None
    configured: bool = Field(description="Whether this installation has a key of its provider.")
    automatic: bool = Field(description="Whether it may be chosen without being asked for.")
    capabilities: tuple[Capability, ...]
    qualities: tuple[Quality, ...]
    quality_rank: int = Field(description="Among all models, 10 for the best pictures.")
    sizes: tuple[SizeAnswer, ...] = Field(description="Sizes that it has by name.")
    any_size: AnySizeAnswer | None = Field(description="Not null: besides, any size that fits this.")
    aspect_ratios: tuple[str, ...] = Field(
        description="The usual ones, such as `16:9`, that it gives without more than a rim being cut away."
    )
    sized_by_input: bool = Field(
        description="The picture has the size of the picture it is given, or a multiple of it."
    )
    max_references: int
    traits: TraitLimits
    prices: tuple[PriceAnswer, ...]
    per_reference_usd: Decimal = Field(description="On top, for each picture to work from.")
    per_megapixel_usd: Decimal | None = Field(description="Not null: it is priced by the pixels of its picture.")
    prices_checked: date = Field(description="The day on which the row was compared with what the vendor publishes.")
    shutdown: date | None = Field(description="The vendor's date; from then on the model is refused.")
    replaced_by: str | None
    retired: bool
    recoverable: bool = Field(description="Whether a purchase whose answer was lost can be found again.")
    typical_s: int = Field(description="What a picture takes by the catalog; `estimate` is what is measured.")
    health: HealthAnswer
    queue: QueueAnswer
    limit: LimitAnswer
    estimate: EstimateAnswer

    @classmethod
    def of(cls, entry: ModelEntry, provider: ProviderEntry, state: ModelState) -> Self:
        """A row of the catalog, with how it stands."""
        return cls(
            **{name: getattr(entry, name) for name in AS_IN_THE_CATALOG},
            available=state.closed_because is None,
            unavailable_because=state.closed_because,
            configured=state.configured,
            sizes=tuple(SizeAnswer(shape=one.shape, width=one.width, height=one.height) for one in entry.recipes),
            any_size=AnySizeAnswer.of(entry.size_grid) if entry.size_grid else None,
            sized_by_input=not entry.is_sized,
            prices=PriceAnswer.all_of(entry),
            prices_checked=entry.checked,
            retired=state.retired,
            recoverable=provider.recoverable,
            health=state.health,
            queue=state.queue,
            limit=state.limit,
            estimate=state.estimate,
        )
