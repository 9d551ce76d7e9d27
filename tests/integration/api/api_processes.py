"""Several API processes of their own beside each other, on one database, for what they must share."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from config import Settings

ROOT = Path(__file__).parents[3]


def _environment(settings: Settings) -> dict[str, str]:
    given: dict[str, Any] = settings.model_dump(include=settings.model_fields_set)
    texts = {
        f"DIORAMA_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
        if value is not None
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("DIORAMA_")} | texts


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


async def _is_alive(url: str, processes: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        while not await _answers(client):
            assert processes.returncode is None, "the APIs ended before they had started"
            await asyncio.sleep(0.1)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def api_processes(settings: Settings, count: int) -> AsyncIterator[list[str]]:
    """The URLs of so many processes with these settings, started together; they end with the block."""
    ports = [_free_port() for _ in range(count)]
    processes = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.api.forked_apis", *map(str, ports)),
        cwd=ROOT,
        env=_environment(settings),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # so that all of them can be ended at once
    )
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        await asyncio.gather(*(_is_alive(url, processes) for url in urls))
        yield urls
    finally:
        with suppress(ProcessLookupError):
            os.killpg(processes.pid, signal.SIGTERM)
        await processes.wait()
