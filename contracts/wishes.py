"""What a caller may wish of a picture beyond its words, and of whoever makes it."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contracts.frozen import Frozen
from contracts.printable import printable

# What a model can do. `image_to_image`: works from reference pictures; `image_variation`: changes a picture by a strength.
Capability = Literal["text_to_image", "image_to_image", "image_variation", "sketch_to_image", "upscale", "face_restore"]
Shape = Literal["square", "wide", "tall"]
Strategy = Literal["pinned", "cheapest", "fastest", "best", "balanced"]
OutputFormat = Literal["png", "jpeg", "webp"]


class PictureTraits(Frozen):
    """Fine settings of a picture; None: the model's own. A model that lacks one is not asked, unless as a fallback.

    `seed`: the same one gives the same picture again, where a model has seeds, and of
    several pictures each has the next one; `steps`: of denoising; `guidance`: how closely
    the words are followed; `strength`: 0 keeps the picture that it starts from, 1 forgets it; `scale`: how many times larger;
    `partials`: at most so many unfinished pictures are shown while it is made (fewer, or none, is no adjustment).
    """

    negative_prompt: Annotated[str, AfterValidator(printable)] | None = Field(default=None, max_length=2000)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    steps: int | None = Field(default=None, ge=1, le=500)
    guidance: float | None = Field(default=None, ge=0, le=50)
    strength: float | None = Field(default=None, ge=0, le=1)
    transparent: bool = False
    output_format: OutputFormat = "png"
    scale: int | None = Field(default=None, ge=2, le=4)
    partials: int = Field(
        default=0, ge=0, le=3, description="Unfinished pictures to be shown meanwhile, where a model gives any."
    )


class Adjustment(Frozen):
    """A wish that could not be met as it was: what was wanted, what was done instead (None: left out), and why."""

    parameter: str
    wanted: str
    given: str | None = None
    why: str


class Limits(Frozen):
    """What the caller allows whoever makes the pictures. `max_cost_usd`: for the whole generation, in USD."""

    strategy: Strategy | None = None
    providers: tuple[str, ...] = ()
    max_cost_usd: Decimal | None = None
