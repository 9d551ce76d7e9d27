"""What the supervisor has to know about a service."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# How a program that refuses root is run: as we are, in a user namespace, or as a system user.
Identity = Literal["ourselves", "user_namespace", "system_user"]

# Runs a preparing command to its end in the service's folder, environment and log; raises CommandFailed.
CommandRunner = Callable[[Sequence[str]], Awaitable[None]]


async def _nothing_to_prepare(_: CommandRunner) -> None:
    return None


async def ready_at_once() -> None:
    """The readiness of a service that runs to its end."""


@dataclass(frozen=True)
class Service:
    """One program of the stack: how to start it, how to know that it serves, how to end it.

    `environment` is the whole environment of the program. `ready` returns when the service serves and raises
    `NotReadyYet` until then. A `runs_to_end` service (the migrations) is ready when it has ended with exit code 0.
    `ports` are those it listens on, so that a lost port can be told from a broken service.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    ready: Callable[[], Awaitable[None]] = ready_at_once
    after: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    before_start: Callable[[CommandRunner], Awaitable[None]] = _nothing_to_prepare
    runs_to_end: bool = False
    identity: Identity = "ourselves"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace_s: float = 5
    ready_timeout_s: float = 60
