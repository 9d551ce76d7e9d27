"""Models that applications still ask OpenAI for and that nobody serves any more; those of the catalog are not among them."""

from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class FormerModel:
    """When OpenAI shut it down, and which family of the catalog OpenAI names in its place."""

    shutdown: date
    replaced_by: str


# OpenAI's list of deprecations, as its client's documentation of the parameter `model` repeats it.
FORMER_MODELS: Final = {
    "dall-e-2": FormerModel(date(2026, 5, 12), "gpt-image-2.5-flare"),
    "dall-e-3": FormerModel(date(2026, 5, 12), "gpt-image-2.5-flare"),
}
