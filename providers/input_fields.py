"""What a model calls its inputs: the table by which a purchase becomes a request."""

from pydantic import Field

from contracts.frozen import Frozen


class InputFields(Frozen):
    """The names of a model's inputs; None: the model lacks it. `fixed` are inputs that never change.

    `references` takes pictures to look at, `image` the one picture to change, to draw from or to enhance. With `one_image`
    a picture is sent by itself and not in a list. `size` takes a recipe's request; `width` and `height` take its pixels.
    `token` takes our own mark, by which a lost purchase is found again.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    quality: str | None = None
    size: str | None = None
    width: str | None = None
    height: str | None = None
    references: str | None = None
    image: str | None = None
    seed: str | None = None
    steps: str | None = None
    guidance: str | None = None
    strength: str | None = None
    scale: str | None = None
    format: str | None = None
    background: str | None = None
    token: str | None = None
    fixed: dict[str, str | bool | int | float] = Field(default_factory=dict)
    one_image: bool = False
