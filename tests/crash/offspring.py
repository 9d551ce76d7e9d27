"""One of our programs in the lab."""

import asyncio
import contextlib
import signal
from pathlib import Path

import psutil

from deploy.failures import NotReadyYet, ServiceFailed, ServiceFailure
from deploy.leftovers import GONE, processes_in_group, send
from deploy.programs import PYTHON
from deploy.service import Service
from deploy.service_log import ServiceLog
from tests.nursery import Born, Nursery

LOOK_EVERY_S = 0.03
TOLD_LINES = 20


class Offspring:
    """One program, started again and again, under its service's name and log."""

    def __init__(self, service: Service, root: Path, nursery: Nursery, log_folder: Path) -> None:
        self._service = service
        self._root = str(root)
        self._nursery = nursery
        self._log = ServiceLog(log_folder / f"{service.name}.log")
        self._born: Born | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._born.pid if self._born is not None and self._born.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it serves; nothing happens when it runs. Raises ServiceFailed."""
        if self.pid is not None:
            return
        self._log.begin_run()
        self._born = born = await self._bear()
        try:
            async with asyncio.timeout(self._service.ready_timeout_s):
                await self._served(born)
        except TimeoutError:
            await self.kill()
            raise self._failed("it was not ready in time") from None
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """SIGKILL to it and all that it started; returns when it is gone."""
        if self._born is not None:
            found = processes_in_group(self._born.pid, self._root)
            if self.pid is not None:  # just forked, it is in no group of its own yet
                with contextlib.suppress(*GONE):
                    itself = psutil.Process(self.pid)
                    found += [itself, *itself.children(recursive=True)]
            send(found, signal.SIGKILL)
            await self._born.wait()

    async def _bear(self) -> Born:
        service = self._service
        arguments = service.command[len(PYTHON) :]
        return await self._nursery.bear(
            arguments, environment=service.environment, folder=service.folder, log=self._log.path
        )

    async def _served(self, born: Born) -> None:
        while True:
            with contextlib.suppress(NotReadyYet):
                return await self._service.ready()
            if born.returncode is not None:
                raise self._failed(f"it ended with {born.returncode} before it was ready")
            await asyncio.sleep(LOOK_EVERY_S)

    def _failed(self, reason: str) -> ServiceFailed:
        code = self._born.returncode if self._born else None
        lines = self._log.last_lines(TOLD_LINES)
        return ServiceFailed(ServiceFailure(self._service.name, reason, code, self._log.path, lines))
