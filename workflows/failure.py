"""Why something failed, in the words of the error tree."""

from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState, is_cancelled_exception

from contracts.pictures import Failure
from contracts.statuses import Step
from errors import DioramaError, GenerationCanceled, error_class

Fact = str | int | float | bool | None


def is_cancellation(error: BaseException) -> bool:
    """True when the client's wish to stop is behind it: told by Temporal, or by our own activity, which hears of it first."""
    if isinstance(error, ActivityError) and error.retry_state is RetryState.CANCEL_REQUESTED:
        return True  # it failed for a moment only, and the wish is why there was no further attempt
    return is_cancelled_exception(error) or _root(error).type == GenerationCanceled.code


def failure_of(error: BaseException, step: Step | None = None) -> Failure:
    """The failure as it is kept on the generation; what is not ours becomes an internal error without its text."""
    root = _root(error)
    known = error_class(root.type or "")
    if known is DioramaError:
        return Failure(code=DioramaError.code, detail=DioramaError.title, step=step)
    facts = root.details[0] if root.details and isinstance(root.details[0], dict) else {}
    clean: dict[str, Fact] = {str(name): fact for name, fact in facts.items() if isinstance(fact, Fact)}
    return Failure(code=known.code, detail=root.message, step=step, facts=clean)


def _root(error: BaseException) -> ApplicationError:
    cause: BaseException | None = error
    while isinstance(cause, FailureError) and not isinstance(cause, ApplicationError):
        cause = cause.cause
    return cause if isinstance(cause, ApplicationError) else ApplicationError("", type="internal_error")
