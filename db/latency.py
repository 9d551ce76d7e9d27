"""How long purchases took, as counts of ranges that grow by a third: sums of many minutes keep the median exact to a seventh."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

# From the sandbox's fastest pictures to the longest deadlines (seconds).
SHORTEST_S: Final = 0.05
GROWTH: Final = 1.3
BOUNDS_S: Final = tuple(SHORTEST_S * GROWTH**power for power in range(39))  # the last one is 1067 s
RANGES: Final = len(BOUNDS_S) + 1


def counted(seconds: Iterable[float]) -> list[int]:
    """How many of these fall into each range."""
    counts = [0] * RANGES
    for one in seconds:
        counts[bisect_left(BOUNDS_S, one)] += 1
    return counts


def added(rows: Iterable[Sequence[int]]) -> list[int]:
    """The sum of several counts; a row may be shorter than others."""
    first, *others = [row if len(row) == RANGES else [*row, *[0] * RANGES][:RANGES] for row in rows] or [[0] * RANGES]
    total = list(first)
    for row in others:
        total = [sum_ + count for sum_, count in zip(total, row, strict=True)]
    return total


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The seconds that `share` (0..1) of the purchases did not exceed; None for none."""
    wanted = share * sum(counts)
    passed = 0
    for position, count in enumerate(counts):
        if count and passed + count >= wanted:
            return round(_within(position, (wanted - passed) / count), 3)
        passed += count
    return None


def _within(position: int, share: float) -> float:
    if position == 0:
        return BOUNDS_S[0] * share
    lower = BOUNDS_S[position - 1]
    return lower * math.pow(GROWTH, share)
