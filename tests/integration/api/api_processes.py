"""Several API processes of their own beside each other, on one database, for what they must share."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from config import Settings
from deploy.stack_ports import find_free_port
from tests.integration.api.running_api import eventually
from tests.integration.patience import HTTP_S

ROOT = Path(__file__).parents[3]


def _environment(settings: Settings) -> dict[str, str]:
    given: dict[str, Any] = settings.model_dump(include=settings.model_fields_set)
    texts = {
        f"DIORAMA_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
        if value is not None
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("DIORAMA_")} | texts


def _free_ports(count: int) -> list[int]:
    ports: list[int] = []
    for _ in range(count):
        ports.append(find_free_port(ports))
    return ports


def _said(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")


async def _is_alive(url: str, processes: asyncio.subprocess.Process, log: Path) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=HTTP_S) as client:

        async def answers() -> bool:
            assert processes.returncode is None, f"an API ended before all had started:\n{_said(log)}"
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers)


@asynccontextmanager
async def api_processes(settings: Settings, count: int, *, log: Path) -> AsyncIterator[list[str]]:
    """The URLs of so many processes with these settings, started together; they end with the block. `log`: what they say."""
    ports = _free_ports(count)
    with log.open("ab") as out:
        processes = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.api.forked_apis", *map(str, ports)),
            cwd=ROOT,
            env=_environment(settings),
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that all of them can be ended at once
        )
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        await asyncio.gather(*(_is_alive(url, processes, log) for url in urls))
        yield urls
    finally:
        with suppress(ProcessLookupError):
            os.killpg(processes.pid, signal.SIGTERM)
        await processes.wait()
