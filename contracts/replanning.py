"""What workflow and activity say to each other when a candidate failed, and the next one is to be chosen."""

from uuid import UUID

from contracts.frozen import Frozen
from contracts.pictures import Candidate, Failure
from contracts.statuses import Step


class ReplanOrder(Frozen):
    """`tried`: the candidates that failed, the last one with `failure`; `rest`: those that the plan has left, in its order.

    `purchases`: so many purchases of the step were begun.
    """

    generation_id: UUID
    step: Step
    tried: tuple[Candidate, ...]
    rest: tuple[Candidate, ...]
    failure: Failure
    purchases: int


class Replanned(Frozen):
    """Who is to be asked now, in order; empty: nobody is left."""

    candidates: tuple[Candidate, ...]
