"""What the exit code of `diorama` means."""

from enum import IntEnum

from commands.troubles import RequestRefused, ServerUnreachable
from deploy.failures import ServiceFailed, StackError
from errors import ConfigurationError, DioramaError, NotFound, RequestError, ServiceUnavailable, StorageError


class ExitCode(IntEnum):
    """Told in `diorama --help`."""

    ok = 0
    failed = 1
    usage = 2
    unreachable = 3
    canceled = 4
    interrupted = 130


# The nearest ancestor in this table decides; anything else is a failure.
_BY_ERROR: dict[type[DioramaError], ExitCode] = {
    ConfigurationError: ExitCode.usage,
    RequestError: ExitCode.usage,
    RequestRefused: ExitCode.usage,
    NotFound: ExitCode.usage,
    StackError: ExitCode.usage,
    ServiceFailed: ExitCode.unreachable,
    ServerUnreachable: ExitCode.unreachable,
    ServiceUnavailable: ExitCode.unreachable,
    StorageError: ExitCode.unreachable,
}
_BY_STATUS = {"succeeded": ExitCode.ok, "canceled": ExitCode.canceled}


def of_error(error: DioramaError) -> ExitCode:
    """How a command ends that met this error."""
    if isinstance(error, RequestRefused) and error.sound:
        return ExitCode.failed
    return next((_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _BY_ERROR), ExitCode.failed)


def of_status(status: str) -> ExitCode:
    """How a command ends that saw a generation end with this status."""
    return _BY_STATUS.get(status, ExitCode.failed)
