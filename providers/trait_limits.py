"""Which fine settings a model knows, and within which limits."""

from typing import Self

from pydantic import Field, model_validator

from contracts.frozen import Frozen
from contracts.wishes import OutputFormat


class TraitLimits(Frozen):
    """What may be set of a model's pictures; what is not said, the model does not know.

    `steps` and `guidance`: (least, most). `formats`: in what the picture can come from the model; it is converted for the
    client where that is something else. `scales`: how many times larger an upscaler can make a picture.
    """

    seed: bool = False
    negative_prompt: bool = False
    transparent: bool = False
    strength: bool = False
    steps: tuple[int, int] | None = None
    guidance: tuple[float, float] | None = None
    formats: tuple[OutputFormat, ...] = Field(default=("png",), min_length=1)
    scales: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _least_before_most(self) -> Self:
        for name in ("steps", "guidance"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name}: the least is more than the most")
        if self.transparent and set(self.formats) == {"jpeg"}:
            raise ValueError("a JPEG has no transparency")
        return self
