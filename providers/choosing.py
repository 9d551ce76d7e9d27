"""Who makes a picture: the models that can, in the order in which they are asked. Pure: everything is given.

What cannot be bought from now goes last or out; then who can meet the request as it is comes before who cannot, who is as
fast as usual before who is not; and among these the strategy decides. Equals share the work by their free capacity.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Final, Self
from uuid import UUID

from contracts.standing import BreakerState, LaneMode, Standing, Standings
from contracts.wishes import Strategy

FEWEST_SAMPLES: Final = 5  # a measured time counts from so many purchases on
# A median so many times above what is usual is a fault, and no longer the ordinary ups and downs.
FAR_ABOVE: Final = 4.0
ABOVE_TYPICAL: Final = 3.0  # the catalog's typical time is on the safe side already
# Waits shorter than this are not worth a worse choice.
SHORT_WAIT: Final = timedelta(seconds=5)
# What differs by less than this is equal: prices are rounded, and times vary.
TOLERANCE: Final = 0.05
LEAST_SHARE: Final = 0.05  # of its capacity counts as free at a full provider, so that it is not forgotten
MINUTES_OF_TRAFFIC: Final = 5

Key = tuple[str, str]
Measure = Callable[["Weighed"], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Option:
    """A model that can make the picture. `position`: in the catalog's order; `adjusted`: it cannot meet every wish.

    `price_usd` for this picture; `quality_rank` 1 to 10, 10 best; `typical_s` by the catalog; `creates_per_minute` of its
    provider; `recoverable`: a purchase whose answer is lost can be looked up there.
    """

    provider: str
    model: str
    position: int
    price_usd: Decimal
    quality_rank: int
    typical_s: float
    creates_per_minute: int
    recoverable: bool = True
    adjusted: bool = False

    @property
    def key(self) -> Key:
        """Provider and model."""
        return self.provider, self.model


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is to be chosen for. `failed_providers`: which failed for this picture already, as a whole."""

    generation_id: UUID
    deadline_s: int
    at: datetime
    strategy: Strategy | None = None
    failed_providers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Weighed:
    """An option with how it stands. `measured`: the median of the newest purchases (seconds); None: too few."""

    option: Option
    provider: Standing
    model: Standing
    measured: float | None

    @property
    def seconds(self) -> float:
        """Expected until the picture is there."""
        return self.option.typical_s if self.measured is None else self.measured

    @property
    def times_typical(self) -> float | None:
        """How its median compares with what the catalog says."""
        return None if self.measured is None else self.measured / self.option.typical_s

    @property
    def success_rate(self) -> float:
        """The share of purchases that gave a picture, the provider's own faults included; 1 for who is new."""
        rates = (self.provider.traffic.success_rate, self.model.traffic.success_rate)
        return min(1.0 if rate is None else rate for rate in rates)

    @property
    def free(self) -> float:
        """How many purchases a minute it can take besides those that it has."""
        capacity = min(
            limit
            for limit in (
                self.provider.creates_per_minute or self.option.creates_per_minute,
                self.model.creates_per_minute,
            )
            if limit is not None
        )
        traffic = self.provider.traffic
        used = (traffic.successes + traffic.failures) / MINUTES_OF_TRAFFIC
        return max(capacity - used, capacity * LEAST_SHARE)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast those are who were measured: (seconds, times typical) of each, and the least of both."""

    measured: tuple[tuple[float, float], ...]
    least_seconds: float
    least_times: float

    @classmethod
    def of(cls, all_: Sequence[Weighed]) -> Self:
        """The pace of all that are to be put in order."""
        measured = tuple((one.seconds, one.times_typical) for one in all_ if one.times_typical is not None)
        seconds, times = [pair[0] for pair in measured], [pair[1] for pair in measured]
        return cls(measured, min(seconds, default=math.inf), min(times, default=math.inf))

    def is_lost_by(self, one: Weighed) -> bool:
        """Whether it takes far longer than it should: than just before, than typical, or than others do beside what is natural."""
        if one.measured is None or one.times_typical is None:
            return False
        usual = one.model.traffic.usual_s
        if one.times_typical > ABOVE_TYPICAL or (usual is not None and one.measured > FAR_ABOVE * usual):
            return True
        seconds, times = one.measured / FAR_ABOVE, one.times_typical / FAR_ABOVE
        if seconds <= self.least_seconds or times <= self.least_times:  # nearly always: nobody can be so much faster
            return False
        return any(seconds > other[0] and times > other[1] for other in self.measured)


def in_order(options: Sequence[Option], standings: Standings, given: Circumstances) -> tuple[Option, ...]:
    """The options in the order in which they are to be asked; empty when all of their lanes are being drained.

    Without a strategy, and as long as all stand well, that is the order in which they came. A paused one is kept only when
    all others are, too: then the purchase waits.
    """
    known = {(row.provider, row.model): row for row in standings.rows}
    weighed = [_weighed(option, known) for option in options]
    open_ = [one for one in weighed if not _has_mode(one, LaneMode.draining)]
    kept = [one for one in open_ if not _has_mode(one, LaneMode.paused)] or open_
    if given.strategy == "pinned":
        return tuple(one.option for one in kept)
    preferred = _by_strategy(kept, given)
    pace = Pace.of(kept)
    return tuple(one.option for one in sorted(preferred, key=lambda one: _rank(one, pace, given)))


def _weighed(option: Option, known: Mapping[Key, Standing]) -> Weighed:
    provider = known.get((option.provider, "")) or Standing(provider=option.provider)
    model = known.get(option.key) or Standing(provider=option.provider, model=option.model)
    measured = model.traffic.p50_s if model.traffic.samples >= FEWEST_SAMPLES else None
    return Weighed(option, provider, model, measured)


def _has_mode(one: Weighed, mode: LaneMode) -> bool:
    return mode in {one.provider.mode, one.model.mode}


def _rank(one: Weighed, pace: Pace, given: Circumstances) -> tuple[bool, ...]:
    """What counts before any strategy; False comes first."""
    broken = any(row.breaker is BreakerState.open or not row.may_try for row in (one.provider, one.model))
    busy = one.provider.busy_until is not None and one.provider.busy_until - given.at > SHORT_WAIT
    failed = one.option.provider in given.failed_providers
    late = (one.model.traffic.p90_s or 0) > given.deadline_s and one.measured is not None
    return (broken, failed, busy, one.option.adjusted, late, pace.is_lost_by(one))


def _by_strategy(kept: Sequence[Weighed], given: Circumstances) -> list[Weighed]:
    if given.strategy is None or not kept:
        return list(kept)
    measure = _measures(kept)[given.strategy]
    scored = sorted(((measure(one), one.option.position, one) for one in kept), key=lambda score: score[:2])
    ordered: list[Weighed] = []
    equals: list[Weighed] = []
    best: tuple[float, ...] = ()
    for score, _, one in scored:
        if equals and not _is_equal(best, score):
            ordered += _drawn(equals, given.generation_id)
            equals = []
        if not equals:
            best = score
        equals.append(one)
    return ordered + _drawn(equals, given.generation_id)


def _measures(kept: Sequence[Weighed]) -> dict[Strategy, Measure]:
    """By strategy, what is compared: the smaller the better, the first number first."""
    cheapest = min(_price(one) for one in kept)
    fastest = min(one.seconds for one in kept)

    def balanced(one: Weighed) -> tuple[float, ...]:
        # A price or a time twice as large costs as much as some ranks of quality, or as failing now and then.
        dear = math.log2(_price(one) / cheapest)
        slow = math.log2(one.seconds / fastest)
        poor = (10 - one.option.quality_rank) / 3
        failing = 4 * (1 - one.success_rate)
        return (1 + dear + slow / 2 + poor + failing + (0 if one.option.recoverable else 0.25),)

    return {
        "cheapest": lambda one: (_price(one),),
        "fastest": lambda one: (one.seconds,),
        "best": lambda one: (-float(one.option.quality_rank), 0 if one.success_rate >= 0.5 else 1),
        "balanced": balanced,
    }


def _price(one: Weighed) -> float:
    return max(float(one.option.price_usd), 0.000_001)


def _is_equal(best: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(theirs - ours) <= TOLERANCE * abs(ours) for ours, theirs in zip(best, other, strict=True))


def _drawn(equals: list[Weighed], generation_id: UUID) -> list[Weighed]:
    """Equals in an order that is drawn, the same one each time: who has more free capacity comes first more often."""
    if len(equals) == 1:
        return equals

    def draw(one: Weighed) -> float:
        name = "\n".join((str(generation_id), *one.option.key)).encode()
        drawn = (int.from_bytes(blake2b(name, digest_size=7).digest()) + 1) / 2**56
        return -math.log(drawn) / one.free

    return sorted(equals, key=draw)
