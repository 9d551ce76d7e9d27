"""Work on a generation that ends or changes hands, and the workers that do it."""

from errors.base import DioramaError


class GenerationCanceled(DioramaError):
    """The caller asked to stop this generation."""

    code = "canceled"
    title = "Canceled"
    suggestion = "Start a new generation when you are ready."


class WorkflowEnded(DioramaError):
    """The workflow of a generation was terminated, or failed, before it could write down an end; all was taken back."""

    code = "workflow_ended"
    title = "The work on this generation was ended from outside"
    retryable = True
    suggestion = "Send the request again."


class LeaseLost(DioramaError):
    """Another attempt took over this purchase; this one must not write any more."""

    code = "lease_lost"
    title = "Another worker took over"
    retryable = True


class WorkerStopping(DioramaError):
    """This worker was told to stop; another one, or the next, goes on from what the ledger shows."""

    code = "worker_stopping"
    title = "The worker stops, and another goes on"
    retryable = True


class WorkerVersionNotReady(DioramaError):
    """The engine refuses to give new runs to this release: its workers do not poll all the queues that are in use."""

    code = "worker_version_not_ready"
    title = "This release of the worker is not ready for new runs"
    retryable = True
    suggestion = "Start workers of this release with the same providers as the current one has, then promote it again."
