"""How long a new picture of a model would take: from what was measured, or not at all."""

from dataclasses import dataclass
from datetime import datetime

from api.standing_answers import EstimateAnswer
from contracts.standing import BreakerState, LaneMode, Standing

UNMEASURED = "It finished no picture in the last five minutes."


@dataclass(frozen=True, slots=True)
class Lanes:
    """What stands between a request and a picture: the provider's lane, then the model's own.

    Limits are purchases a minute; None: the model has none of its own. `held`: purchases that wait on the lane already.
    `generations_ahead`: accepted, and not bought yet; they may come to this lane.
    """

    provider: Standing
    model: Standing
    provider_limit: int
    model_limit: int | None
    provider_held: int
    model_held: int
    generations_ahead: int

    @property
    def ahead(self) -> int:
        """Purchases that go before a new one, at most."""
        return self.provider_held + self.generations_ahead

    def closed_because(self) -> str | None:
        """Why nothing new is bought on these lanes for the moment; None: it is."""
        for words, standing in (("The provider", self.provider), ("The model", self.model)):
            if standing.mode is LaneMode.paused:
                return f"{words} is paused by an operator."
            if standing.mode is LaneMode.draining:
                return f"{words} is being drained: it makes only what was planned before."
            if standing.breaker is BreakerState.open:
                return f"{words} fails at the moment: nothing is bought until a probe succeeds."
            if not standing.may_try:
                return f"{words} failed, and is tried out with a few purchases: no more are made until they ended."
        return None

    def wait_s(self, moment: datetime) -> float:
        """Seconds until the purchases ahead can have begun, and the provider takes any."""
        busy = self.provider.busy_until
        told_s = max(0.0, (busy - moment).total_seconds()) if busy else 0.0
        provider_s = self.ahead * 60 / self.provider_limit
        model_s = self.model_held * 60 / self.model_limit if self.model_limit else 0.0
        return max(told_s, provider_s, model_s)


def estimate(lanes: Lanes, *, moment: datetime, closed_because: str | None) -> EstimateAnswer:
    """The estimate for one picture that is asked for at this `moment`."""
    traffic = lanes.model.traffic
    why = closed_because or (UNMEASURED if traffic.p50_s is None or traffic.p90_s is None else None)
    if why is not None or traffic.p50_s is None or traffic.p90_s is None:
        return EstimateAnswer(
            median_s=None,
            p90_s=None,
            wait_s=None,
            ahead=lanes.ahead,
            samples=traffic.samples,
            unknown_because=why,
        )
    wait_s = lanes.wait_s(moment)
    return EstimateAnswer(
        median_s=round(wait_s + traffic.p50_s, 1),
        p90_s=round(wait_s + traffic.p90_s, 1),
        wait_s=round(wait_s, 1),
        ahead=lanes.ahead,
        samples=traffic.samples,
        unknown_because=None,
    )
