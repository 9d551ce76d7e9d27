"""Where our programs are born, from the lab's side: each is a process of its own, and starts in a tenth of the time."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.failures import NotReadyYet, ServiceFailed, ServiceFailure
from deploy.leftovers import ROOT_MARK, processes_in_group, send
from deploy.service import Service
from deploy.service_log import ServiceLog

FORKING = Path(__file__).with_name("forking.py")
LINE_AT_MOST = 1 << 20
LOOK_EVERY_S = 0.03
TOLD_LINES = 20


@dataclass(slots=True)
class Born:
    """A process. `code` is there when it has ended: negative is the signal that ended it."""

    pid: int
    code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class NurseryGone(Exception):
    """The nursery has ended; standard error says why."""


class Nursery:
    """Has programs born, and hears of their ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._awaited: deque[asyncio.Future[Born]] = deque()
        self._alive: dict[int, Born] = {}
        self._is_gone = False

    async def bear(self, service: Service, log: Path) -> Born:
        """Start a program. Raises NurseryGone."""
        if self._is_gone:
            raise NurseryGone
        order = {
            "module": service.command[-1],
            "environment": dict(service.environment),
            "folder": str(service.folder),
            "log": str(log),
        }
        arrival: asyncio.Future[Born] = asyncio.get_running_loop().create_future()
        self._awaited.append(arrival)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await arrival

    async def listen(self) -> None:
        """Hear of births and ends, until the nursery is gone."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "born" in told:
                born = self._alive[told["born"]] = Born(told["born"])
                arrival = self._awaited.popleft()
                if arrival.done():  # nobody waits for it any more
                    os.kill(born.pid, signal.SIGKILL)
                else:
                    arrival.set_result(born)
            else:
                self._end(told["ended"], told["code"])
        self._is_gone = True
        for arrival in self._awaited:
            if not arrival.done():
                arrival.set_exception(NurseryGone())
        for pid in [*self._alive]:
            self._end(pid, -signal.SIGKILL)

    def _end(self, pid: int, code: int) -> None:
        gone = self._alive.pop(pid)
        gone.code = code
        gone.ended.set()


@contextlib.asynccontextmanager
async def nursery(root: Path) -> AsyncIterator[Nursery]:
    """A nursery for the stack in `root`; all that was born there ends with the block."""
    # What is compiled is kept: each program is started many times.
    callers = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(FORKING),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**callers, ROOT_MARK: str(root)},
        limit=LINE_AT_MOST,
        start_new_session=True,  # Ctrl-C is for whoever began all this
    )
    there = Nursery(process)
    listening = asyncio.create_task(there.listen())
    try:
        yield there
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


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
        return self._born.pid if self._born is not None and self._born.code is None else None

    async def start(self) -> None:
        """Start it and wait until it serves; nothing happens when it runs. Raises ServiceFailed."""
        if self.pid is not None:
            return
        self._log.begin_run()
        self._born = born = await self._nursery.bear(self._service, self._log.path)
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
            send(processes_in_group(self._born.pid, self._root), signal.SIGKILL)
            await self._born.ended.wait()

    async def _served(self, born: Born) -> None:
        while True:
            with contextlib.suppress(NotReadyYet):
                return await self._service.ready()
            if born.code is not None:
                raise self._failed(f"it ended with {born.code} before it was ready")
            await asyncio.sleep(LOOK_EVERY_S)

    def _failed(self, reason: str) -> ServiceFailed:
        code = self._born.code if self._born else None
        lines = self._log.last_lines(TOLD_LINES)
        return ServiceFailed(ServiceFailure(self._service.name, reason, code, self._log.path, lines))
