"""How a provider or a model stands, as clients see it: health, queue, limit, and how long a new picture would take."""

from datetime import datetime
from typing import Final, Self

from pydantic import Field

from contracts.frozen import Frozen
from contracts.standing import BreakerState, LaneMode, Standing, Traffic
from db.live_purchases import LivePurchases

WINDOW_S: Final = 300  # what `db.standings` looks back on


class TrafficAnswer(Frozen):
    """What came of the purchases of the last minutes. Refused prompts and inputs say nothing about health, and do not count.

    A failure counts where its cause is: for a model, or for its provider as a whole. A finished picture counts for both.
    """

    window_s: int = Field(default=WINDOW_S, description="How far it looks back, in seconds.")
    successes: int
    failures: int
    busy: int = Field(description="How often the provider asked to come again later.")
    success_rate: float | None = Field(description="0 to 1; null without traffic.")
    p50_s: float | None = Field(description="Seconds from the purchase to the picture; null: none was finished.")
    p90_s: float | None
    samples: int = Field(description="How many of the newest purchases these two are measured on.")

    @classmethod
    def of(cls, traffic: Traffic) -> Self:
        """The traffic of a standing."""
        return cls(**traffic.model_dump(exclude={"usual_s"}), success_rate=traffic.success_rate)


class HealthAnswer(Frozen):
    """What its traffic, its breaker and the operators say."""

    mode: LaneMode = Field(description="Set by operators. draining: only what is planned is made; paused: nothing is.")
    breaker: BreakerState = Field(
        description="open: it failed so often that nothing is bought; half_open: a few purchases show whether it works."
    )
    breaker_since: datetime | None
    busy_until: datetime | None = Field(description="The provider asked not to be sent anything before.")
    traffic: TrafficAnswer

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """The standing of a model, or of a provider as a whole."""
        return cls(
            mode=standing.mode,
            breaker=standing.breaker,
            breaker_since=standing.breaker_since,
            busy_until=standing.busy_until,
            traffic=TrafficAnswer.of(standing.traffic),
        )


class QueueAnswer(Frozen):
    """Purchases that are under way now."""

    held: int = Field(
        description="Not sent yet: they wait for a limit, a breaker or an operator, or are just about to be."
    )
    at_provider: int = Field(description="Sent, and not finished.")

    @classmethod
    def of(cls, live: LivePurchases) -> Self:
        """The live purchases of a model, or of all models of a provider."""
        return cls(held=live.held, at_provider=live.sent)


class LimitAnswer(Frozen):
    """How many purchases may begin in a minute, over all workers."""

    creates_per_minute: int | None = Field(description="null: a model that has no limit besides its provider's.")
    set_by_operator: bool = Field(description="false: it is the configured one.")


class EstimateAnswer(Frozen):
    """How long a new request for one picture would take, from now: measured, not promised.

    It is what the pictures of the last minutes took, plus the time in which what is ahead can be bought. Who is ahead may
    yet go elsewhere, so `wait_s` is rather too long than too short.
    """

    median_s: float | None = Field(description="Half of the pictures are quicker. null: not known.")
    p90_s: float | None = Field(description="Nine of ten are quicker. null: not known.")
    wait_s: float | None = Field(description="The part of it that is spent before the purchase.")
    ahead: int = Field(description="Purchases that go before.")
    samples: int = Field(description="How many of the newest purchases it is measured on.")
    unknown_because: str | None = Field(description="Why there is no estimate.")
