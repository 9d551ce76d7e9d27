"""Percentiles by nearest rank: each is a value that was measured."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """How measured times spread, milliseconds; not a number when nothing was measured."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of_seconds(cls, seconds: Iterable[float]) -> Self:
        """The spread of times in seconds."""
        ordered = sorted(value * 1000 for value in seconds)
        return cls(len(ordered), *(nearest_rank(ordered, share) for share in (0.50, 0.95, 0.99)))


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` (0..1] of them."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan
