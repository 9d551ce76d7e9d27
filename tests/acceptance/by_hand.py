"""The stack's own programs started by a test, so that the test sees how they end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx

from deploy.local import LocalStack

ROOT = Path(__file__).parents[2]
PORTS = {"api": "DIORAMA_API_PORT", "worker": "DIORAMA_WORKER_HEALTH_PORT"}
# What supervisors of containers give by default, before they kill.
STOPS_WITHIN_S = 30
# The imports alone are seconds of a processor, and many times as much where others use it.
STARTS_WITHIN_S = 120


@asynccontextmanager
async def by_hand(
    stack: LocalStack, program: Literal["api", "worker"], **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m PROGRAM` with the stack's settings and these, in a process that serves; the stack's own must be stopped."""
    environment = {**stack.environment(), **settings}
    with (stack.root / "logs" / f"{program}-by-hand.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", program),
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        await _serves(f"http://127.0.0.1:{environment[PORTS[program]]}/readyz")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def asked_to_stop(process: asyncio.subprocess.Process) -> int:
    """The exit code after SIGTERM. Raises TimeoutError: it did not end in the time that a supervisor gives."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(STOPS_WITHIN_S):
        return await process.wait()


async def _serves(url: str) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(STARTS_WITHIN_S):
        while not await is_ready(http, url):  # noqa: ASYNC110  another process's readiness raises no event here
            await asyncio.sleep(0.05)


async def is_ready(http: httpx.AsyncClient, url: str) -> bool:
    """Whether the program behind this /readyz serves, and is not about to end."""
    try:
        return (await http.get(url)).status_code == 200
    except httpx.TransportError:
        return False
