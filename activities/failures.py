"""Our errors as Temporal knows them: the code is the type, facts ride along, and only what can help is retried."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from errors import DioramaError, GenerationCanceled, ProviderBusy, RequestError, WorkerStopping

# A failure's payload counts against history limits, and details are for people.
LONGEST_DETAIL = 500
# Nobody is to wait for a worker that hands its work over. Zero would mean: as the retry policy says.
AT_ONCE = timedelta(milliseconds=1)


class PurchaseEnded(Exception):
    """The ledger has closed this purchase because of `failure`: trying the activity again could only find that out again."""

    def __init__(self, failure: DioramaError) -> None:
        super().__init__(failure.code)
        self.failure = failure


def as_application_error(error: DioramaError, *, final: bool = False) -> ApplicationError:
    """The same failure for the workflow: type = code, first detail = facts."""
    expected = isinstance(error, GenerationCanceled | RequestError | WorkerStopping)
    return ApplicationError(
        error.detail[:LONGEST_DETAIL],
        {"billed": error.billed, **error.facts},
        type=error.code,
        non_retryable=final or not error.retryable,
        next_retry_delay=None if final else _delay(error),
        category=ApplicationErrorCategory.BENIGN if expected else ApplicationErrorCategory.UNSPECIFIED,
    )


def _delay(error: DioramaError) -> timedelta | None:
    """How long until the next attempt, where the retry policy does not know it better."""
    if isinstance(error, ProviderBusy):
        return timedelta(seconds=error.retry_after_s)
    return AT_ONCE if isinstance(error, WorkerStopping) else None


@contextmanager
def told_to_temporal() -> Iterator[None]:
    """Raise our errors from this block as ApplicationErrors."""
    try:
        yield
    except PurchaseEnded as ended:
        raise as_application_error(ended.failure, final=True) from ended
    except DioramaError as error:
        raise as_application_error(error) from error
