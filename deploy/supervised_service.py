"""A service as the supervisor keeps it: with its log and, while it runs, its process."""

import asyncio
from collections.abc import Sequence

from deploy.failures import ServiceFailure
from deploy.process import Launch, StackProcess
from deploy.service import Service
from deploy.service_log import ServiceLog

TOLD_LINES = 20


class SupervisedService:
    """A service and, while it runs, its process."""

    def __init__(self, service: Service, log: ServiceLog) -> None:
        self.service = service
        self.log = log
        self.process: StackProcess | None = None
        self.watcher: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    def launch(self, command: Sequence[str]) -> Launch:
        """The service's surroundings for `command`."""
        service = self.service
        return Launch(
            command=command,
            environment=service.environment,
            folder=service.folder,
            log=self.log.path,
            identity=service.identity,
            death_signal=service.death_signal,
        )

    def failure(self, reason: str, exit_code: int | None = None) -> ServiceFailure:
        """Put what happened together with the last lines of the log."""
        return ServiceFailure(
            name=self.service.name,
            reason=reason,
            exit_code=exit_code,
            log_path=self.log.path,
            last_lines=self.log.last_lines(TOLD_LINES),
        )
