"""What operators decide and look for."""

from errors.base import DioramaError
from errors.requests import RequestError


class NotInReview(RequestError):
    """Nothing is to be decided about this purchase: it was decided before, or its outcome is known."""

    code = "not_in_review"
    title = "This purchase does not wait for a decision"
    suggestion = "GET /v1/operations/reviews lists the purchases that do; GET /v1/operations/actions what was decided."


class JobNotAdoptable(RequestError):
    """The job cannot be this purchase's: it is another's, or its provider has no jobs to be asked about."""

    code = "job_not_adoptable"
    title = "This job cannot be adopted"
    suggestion = "Look the job up at the provider, or accept the purchase as lost, or resubmit it."


class NoRoomToBuyAgain(RequestError):
    """Buying it once more has no room in what was promised for the generation, or in the provider's budget; `of` says in which."""

    code = "no_room_to_buy_again"
    title = "There is no room to buy the picture once more"
    suggestion = "Name a lower cost_usd if the purchase was charged less, have the provider's budget raised, or accept it as lost."


class ReconciliationUnfinished(DioramaError):
    """The round goes on without the request that asked for it; what it finds will be among the findings."""

    code = "reconciliation_unfinished"
    title = "The round of the reconciler takes longer than a request can wait"
    suggestion = "It goes on: look at GET /v1/operations/findings later. If nothing comes, see that a worker runs."
