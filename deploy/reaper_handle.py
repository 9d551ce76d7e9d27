"""The supervisor's side of the reaper: started with the stack, let go at its end."""

import asyncio
import os
import sys
from pathlib import Path

from deploy.python_path import PYTHON_PATH

# Its own waits end after 10 s at most (see deploy.leftovers).
RELEASE_TIMEOUT_S = 15.0


class ReaperHandle:
    """A running `deploy.reaper`, tied to this process by a pipe that the kernel closes for us."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, root: Path, *, lock_descriptor: int) -> "ReaperHandle":
        """Start it in a session of its own, so that Ctrl-C does not reach it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "deploy.reaper", str(root)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=os.environ | {"PYTHONPATH": PYTHON_PATH},
            start_new_session=True,
            pass_fds=(lock_descriptor,),
        )
        return cls(process)

    async def release(self) -> None:
        """Tell it that the stack has ended; it looks once more for leftovers and goes."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
