"""Runs the sandbox providers as the process that they are, for tests of everything that calls a provider."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.stack_ports import claimed, find_free_port
from tests.fresh_connections import FRESH

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0


@dataclass(slots=True)
class SandboxServer:
    """A running sandbox. Stop and start it again to test restarts: its address and data stay."""

    port: int
    data_dir: Path
    arguments: tuple[str, ...]
    admin: httpx.AsyncClient = field(repr=False)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The root of all its addresses."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def replicate_url(self) -> str:
        """Base address for Replicate, without /v1 (what the 1.x client wants)."""
        return f"{self.url}/replicate"

    @property
    def openai_url(self) -> str:
        """Base address for OpenAI, with /v1 (what its client wants)."""
        return f"{self.url}/openai/v1"

    @property
    def getimg_url(self) -> str:
        """Base address for getimg, without /v1 and /v2."""
        return f"{self.url}/getimg"

    @property
    def wavespeed_url(self) -> str:
        """Base address for WaveSpeed, without /api/v3."""
        return f"{self.url}/wavespeed"

    @property
    def delivery_url(self) -> str:
        """Where output files are."""
        return f"{self.url}/delivery"

    async def start(self) -> None:
        """Start the process and wait until it answers."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            command = ("-m", "sandbox", "--port", str(self.port), "--data-dir", str(self.data_dir), *self.arguments)
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():
                if self.process.returncode is not None:
                    raise RuntimeError(f"the sandbox ended: {(self.data_dir / 'server.log').read_text()}")
                await asyncio.sleep(0.03)

    async def kill(self) -> None:
        """End the process as kill -9 does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End the process politely."""
        await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop the process from running without ending it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process run on."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGCONT)

    async def charges(self, **wanted: str) -> list[dict[str, Any]]:
        """The bill; filters are fields of a row, for example billed="true"."""
        return await self._get("/admin/charges", wanted)

    async def journal(self, **wanted: str) -> list[dict[str, Any]]:
        """The requests; filters are fields of an entry, for example operation="create"."""
        return await self._get("/admin/journal", wanted)

    async def jobs(self, **wanted: str) -> list[dict[str, Any]]:
        """The jobs of all providers."""
        return await self._get("/admin/jobs", wanted)

    async def webhooks(self, **wanted: str) -> list[dict[str, Any]]:
        """The webhook deliveries that were tried."""
        return await self._get("/admin/webhooks", wanted)

    async def summary(self) -> dict[str, Any]:
        """Counts and sums by provider."""
        response = await self.admin.get("/admin/summary")
        body: dict[str, Any] = response.raise_for_status().json()
        return body

    async def advance(self, seconds: float) -> None:
        """Move the sandbox's clock."""
        (await self.admin.post("/admin/clock", json={"advance_s": seconds})).raise_for_status()

    async def change(self, **settings: Any) -> None:
        """Change settings."""
        (await self.admin.post("/admin/settings", json=settings)).raise_for_status()

    async def arm(self, fault: str, **form: Any) -> None:
        """Arm a fault: provider=, operation=, match=, times=, params=."""
        (await self.admin.post("/admin/faults", json={"fault": fault, **form})).raise_for_status()

    async def disarm(self) -> None:
        """Disarm all faults."""
        (await self.admin.delete("/admin/faults")).raise_for_status()

    async def reset(self) -> None:
        """Forget jobs, charges, files, faults, journal and clock."""
        (await self.admin.post("/admin/reset")).raise_for_status()

    async def _get(self, path: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
        response = await self.admin.get(path, params={"limit": 100_000, **wanted})
        rows: list[dict[str, Any]] = response.raise_for_status().json()
        return rows

    async def _answers(self) -> bool:
        try:
            return (await self.admin.get("/healthz")).is_success
        except httpx.TransportError:
            return False

    async def _end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, number)
            await self.process.wait()
        self.process = None


@contextlib.asynccontextmanager
async def start_sandbox(tmp_path: Path, **options: str | float) -> AsyncIterator[SandboxServer]:
    """A running sandbox, ended on exit. Options are those of the command line, for example creates_per_minute="unlimited".

    Fast drawing, jobs of 0.05 s and no rate limits unless the options say otherwise.
    """
    chosen: dict[str, str | float] = {
        "drawing": "fast",
        "duration": 0.05,
        "queue": 0,
        "creates_per_minute": "unlimited",
        "reads_per_minute": "unlimited",
        **options,
    }
    arguments = [text for name, value in chosen.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    with claimed([port]):  # until the end: a sandbox that is started again needs it again
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=FRESH, trust_env=False) as admin:
            server = SandboxServer(port, tmp_path / "sandbox", tuple(arguments), admin)
            try:
                await server.start()
                yield server
            finally:
                await server.kill()
