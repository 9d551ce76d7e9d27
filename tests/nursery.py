"""Where our programs are born, from the tests' side: each is a process of its own, and starts in a tenth of the time.

What a program imports takes nine tenths of its start, and tests start hundreds of them.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.leftovers import ROOT_MARK
from deploy.process import Launch, StackProcess
from deploy.programs import PYTHON

FORKING = Path(__file__).with_name("forking.py")
LINE_AT_MOST = 1 << 20


@dataclass(slots=True)
class Born:
    """A process. `returncode` is there when it has ended: negative is the signal that ended it."""

    pid: int
    returncode: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, code: int) -> None:
        """Tell everybody who waits for it."""
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class NurseryGone(Exception):
    """The nursery has ended; standard error says why."""


class Nursery:
    """Has programs born, and hears of their ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._awaited: deque[asyncio.Future[Born]] = deque()
        self._alive: dict[int, Born] = {}
        self._is_gone = False

    async def bear(self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path) -> Born:
        """Start a module with its arguments, as `python -P -m` does. Raises NurseryGone."""
        if self._is_gone:
            raise NurseryGone
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "log": str(log),
        }
        arrival: asyncio.Future[Born] = asyncio.get_running_loop().create_future()
        self._awaited.append(arrival)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await arrival

    async def spawn(self, launch: Launch) -> StackProcess:
        """Start what a stack asks for: our own programs here, foreign servers as ever. Raises NurseryGone."""
        if tuple(launch.command[: len(PYTHON)]) != PYTHON:
            return await StackProcess.spawn(launch)
        arguments = launch.command[len(PYTHON) :]
        born = await self.bear(arguments, environment=launch.environment, folder=launch.folder, log=launch.log)
        return StackProcess(born, launch.environment[ROOT_MARK])

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
        self.close()

    def close(self) -> None:
        """It has ended, and so has all that was born there: tell everybody who waits."""
        self._is_gone = True
        for arrival in self._awaited:
            if not arrival.done():
                arrival.set_exception(NurseryGone())
        for pid in [*self._alive]:
            self._end(pid, -signal.SIGKILL)

    def _end(self, pid: int, code: int) -> None:
        self._alive.pop(pid).end(code)


@contextlib.asynccontextmanager
async def nursery(root: Path) -> AsyncIterator[Nursery]:
    """A nursery that belongs to the stack in `root`; all that was born there ends with the block."""
    # What is compiled is kept: each program is started many times.
    callers = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(FORKING),
        str(os.getpid()),
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
        there.close()
