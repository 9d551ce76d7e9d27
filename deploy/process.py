"""One running program of the stack, with everything it has started."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from deploy.leftovers import GONE, ROOT_MARK, alive, is_stopped, processes_in_group, send
from deploy.service import Identity

LAUNCHER = Path(__file__).with_name("launch.py")
# Used by the fallback for machines that refuse user namespaces.
SYSTEM_USER = "embedded_postgres"
POLL_S = 0.01
KILL_WAIT_S = 5.0


@dataclass(frozen=True)
class Launch:
    """What to run, where, as whom, and how it dies with the supervisor."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    identity: Identity = "ourselves"
    death_signal: signal.Signals = signal.SIGKILL

    def arguments(self) -> list[str]:
        """The launcher's command line."""
        identity = {
            "ourselves": [],
            "user_namespace": ["--user-namespace"],
            "system_user": ["--user", SYSTEM_USER],
        }
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), "--parent", str(os.getpid())]
        death = ["--death-signal", str(int(self.death_signal))]
        return [*launcher, *death, *identity[self.identity], "--", *self.command]


class RunningProgram(Protocol):
    """A process that was started, as asyncio's subprocesses are."""

    @property
    def pid(self) -> int:
        """Process id, which is also the process group."""

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative for a signal."""

    async def wait(self) -> int:
        """Wait for its end; returns the exit code."""


class StackProcess:
    """A program in a process group of its own."""

    def __init__(self, process: RunningProgram, root: str) -> None:
        self._process = process
        self._root = root

    @classmethod
    async def spawn(cls, launch: Launch) -> "StackProcess":
        """Start the program; its output is appended to its log."""
        with launch.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *launch.arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=launch.folder,
                env=dict(launch.environment),
                start_new_session=True,
            )
        return cls(process, launch.environment[ROOT_MARK])

    @property
    def pid(self) -> int:
        """Process id, which is also the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        return await self._process.wait()

    def members(self) -> list[psutil.Process]:
        """The program and all its living descendants (PostgreSQL's leave the process group)."""
        with suppress(*GONE):
            leader = psutil.Process(self.pid)
            return [leader, *leader.children(recursive=True)]
        return []

    def pause(self) -> None:
        """Stop the clock of the program and its descendants, those too that are born while it is done."""
        while running := [member for member in self.members() if not is_stopped(member)]:
            send(running, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        send(self.members(), signal.SIGCONT)

    async def stop(self, with_signal: signal.Signals, grace_s: float) -> None:
        """Ask it to end, and end it with all its descendants when it has not done so in `grace_s` seconds."""
        members = self.members()
        if self.exit_code is None:
            send(members[:1], with_signal)
            send(members, signal.SIGCONT)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self.wait()
        await self._kill(members)

    async def kill(self) -> None:
        """SIGKILL to the program and all its descendants; returns when they are gone."""
        await self._kill(self.members())

    async def _kill(self, members: list[psutil.Process]) -> None:
        members = [*members, *processes_in_group(self.pid, self._root)]
        send(members, signal.SIGKILL)
        await self.wait()
        for _ in range(int(KILL_WAIT_S / POLL_S)):
            if not alive(members):
                return
            await asyncio.sleep(POLL_S)


Spawn = Callable[[Launch], Awaitable[StackProcess]]


async def exit_code_of(launch: Launch) -> int:
    """Run a program to its end; it is killed when the wait is canceled."""
    process = await StackProcess.spawn(launch)
    try:
        return await process.wait()
    except BaseException:
        await process.kill()
        raise
