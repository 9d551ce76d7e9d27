"""What an operator may decide about a provider or a model: a lane on which purchases go out."""

from enum import StrEnum

from pydantic import Field

from contracts.frozen import Frozen
from contracts.reviews import Note
from contracts.standing import LaneMode

# More than any provider's documented limit; a typing slip must not become an unlimited lane.
MOST_CREATES_PER_MINUTE = 100_000


class LaneAction(StrEnum):
    """pause: nothing is bought; drain: what is planned is still made; resume: as usual."""

    pause = "pause"
    drain = "drain"
    resume = "resume"

    @property
    def mode(self) -> LaneMode:
        """What the lane is afterwards."""
        return {"pause": LaneMode.paused, "drain": LaneMode.draining, "resume": LaneMode.active}[self.value]


class LaneDecision(Frozen):
    """Why a lane is paused, drained or resumed."""

    note: Note = Field(
        description="Why; kept in the audit log.", examples=["their status page says: elevated error rates"]
    )


class LaneLimit(Frozen):
    """How many purchases a minute a lane may begin, over the whole fleet; None: the configured number, for a model no limit."""

    creates_per_minute: int | None = Field(ge=1, le=MOST_CREATES_PER_MINUTE, examples=[60])
    note: Note = Field(description="Why; kept in the audit log.", examples=["our account was moved to a lower tier"])
