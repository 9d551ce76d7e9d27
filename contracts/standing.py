"""How providers and models stand: what their traffic was like, what their breakers say, what operators decided."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contracts.frozen import Frozen


class BreakerState(StrEnum):
    """closed: used; open: not used until a free probe succeeds; half_open: a few purchases show whether it works again."""

    closed = "closed"
    open = "open"
    half_open = "half_open"


class LaneMode(StrEnum):
    """active; draining: what is planned for it is still made, nothing new is planned; paused: nothing is bought."""

    active = "active"
    draining = "draining"
    paused = "paused"


class Traffic(Frozen):
    """Purchases of the last minutes that say something about health; refusals of a prompt or an input are none.

    `p50_s` and `p90_s`: seconds from the purchase to the finished picture; None: nothing was finished. They are of the newest
    purchases, `samples` says how many; `usual_s` is the median of the minutes before these, so that a change shows.
    """

    successes: int = 0
    failures: int = 0
    busy: int = 0
    samples: int = 0
    p50_s: float | None = None
    p90_s: float | None = None
    usual_s: float | None = None

    @property
    def success_rate(self) -> float | None:
        """0 to 1; None without traffic."""
        total = self.successes + self.failures
        return self.successes / total if total else None


class Standing(Frozen):
    """A model at a provider, or, with `model` empty, a provider as a whole.

    `creates_per_minute`: an operator's limit (None: the configured one); `busy_until`: the provider told us to buy later;
    `reads_busy_until`: to look later.
    `may_try`: a breaker that is half open lets one more purchase through.
    """

    provider: str
    model: str = ""
    breaker: BreakerState = BreakerState.closed
    breaker_since: datetime | None = None
    may_try: bool = True
    mode: LaneMode = LaneMode.active
    creates_per_minute: int | None = Field(default=None, ge=1)
    busy_until: datetime | None = None
    reads_busy_until: datetime | None = None
    traffic: Traffic = Traffic()


class Standings(Frozen):
    """All that is known; whoever is not in it is new, and stands well."""

    rows: tuple[Standing, ...] = ()

    def of(self, provider: str, model: str = "") -> Standing:
        """The standing of a model, or of a provider as a whole; a fresh one for who is unknown."""
        for row in self.rows:
            if (row.provider, row.model) == (provider, model):
                return row
        return Standing(provider=provider, model=model)

    def both(self, provider: str, model: str) -> tuple[Standing, Standing]:
        """The provider's and the model's own."""
        return self.of(provider), self.of(provider, model)
