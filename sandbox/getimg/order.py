"""A checked request: what is to be made, by whichever version of the API it was asked for."""

from dataclasses import dataclass
from typing import Literal

from sandbox.getimg.models import Does, Size

OutputFormat = Literal["png", "webp", "jpeg"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is bought. `size`: pixels of the result; `by_url`: it is to be downloaded."""

    version: Literal[1, 2]
    model: str
    does: Does
    prompt: str
    size: Size
    output_format: OutputFormat
    by_url: bool
    usd: float
    seed: int | None
    scale: float
    references: tuple[bytes, ...]
