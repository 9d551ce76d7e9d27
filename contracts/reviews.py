"""What an operator may decide about a purchase whose outcome nobody knows."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.frozen import Frozen


class ReviewAction(StrEnum):
    """adopt: this job is its; accept_lost: give it up, and the generation with it; resubmit: buy it once more."""

    adopt = "adopt"
    accept_lost = "accept_lost"
    resubmit = "resubmit"


# Control characters but tab and newline have no place in a note, and PostgreSQL takes no NUL.
_WORDS = r"^[^\x00-\x08\x0b-\x1f]*$"
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=_WORDS)]
NoteIfAny = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=_WORDS)]
JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Decision(Frozen):
    """A decision with its reason. `cost_usd` is what the purchase counts with, at most what is held for it."""

    action: ReviewAction
    note: Note = Field(
        description="Why; kept in the audit log, where the tenant reads it.",
        examples=["seen in the provider's dashboard"],
    )
    job_id: JobId | None = Field(default=None, description="For `adopt`: the job's id at the provider.")
    cost_usd: Decimal | None = Field(
        default=None, ge=0, max_digits=12, decimal_places=6, description="Empty: the catalog's price."
    )

    @model_validator(mode="after")
    def _fields_of_the_action(self) -> Self:
        if (self.action is ReviewAction.adopt) != (self.job_id is not None):
            raise ValueError("job_id belongs to adopt, and adopt needs it")
        if self.action is ReviewAction.adopt and self.cost_usd is not None:
            raise ValueError("what an adopted job costs, its provider says")
        return self
