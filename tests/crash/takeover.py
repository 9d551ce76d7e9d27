"""How long it takes until the work of a killed worker is taken over: `python -m tests.crash.takeover`.

The same load twice, chains of two pictures with jobs of seconds: once undisturbed, once with a kill -9 of the only worker
while all chains are in flight. Exit code 1 when a chain did not succeed, when anything was charged beyond one purchase a
picture, or when the added time misses its limit.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench.percentiles import nearest_rank
from deploy.local import LocalStack, StackOptions
from deploy.stack_state import load_secrets
from tests.crash.evidence import Charge, read_charges
from tests.crash.lab import without_limits
from tests.crash.looking import until
from tests.crash.requests import chain, lasting

CHAINS = 200
JOB_S = 6.0
# As products run: the default of DIORAMA_PICTURE_HEARTBEAT_S.
HEARTBEAT_S = 20
LIMIT_S = HEARTBEAT_S + 10.0
PATIENCE_S = 300.0
AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class Run:
    """How long each chain took (seconds, by the rows), how many succeeded, and what was charged for them."""

    seconds: Sequence[float]
    succeeded: int
    charges: Sequence[Charge]
    pictures: int

    @property
    def extra_charges(self) -> int:
        """Charges beyond one for each picture."""
        return sum(charge.billed is not False for charge in self.charges) - self.pictures


@dataclass(frozen=True, slots=True)
class Takeover:
    """The undisturbed run beside the one with a kill."""

    calm: Run
    killed: Run

    def figures(self) -> dict[str, Any]:
        """For machines; seconds. What was added: how much longer each chain took than the one of its place before."""
        added = sorted(late - calm for calm, late in zip(self.calm.seconds, self.killed.seconds, strict=True))
        return {
            "chains": CHAINS,
            "succeeded": self.killed.succeeded,
            "calm_p95_s": round(nearest_rank(sorted(self.calm.seconds), 0.95), 2),
            "killed_p95_s": round(nearest_rank(sorted(self.killed.seconds), 0.95), 2),
            "added_p50_s": round(nearest_rank(added, 0.50), 2),
            "added_p95_s": round(nearest_rank(added, 0.95), 2),
            "added_most_s": round(added[-1], 2),
            "limit_s": LIMIT_S,
            "extra_charges": self.calm.extra_charges + self.killed.extra_charges,
        }

    @property
    def is_as_promised(self) -> bool:
        """Whether all chains ended well, nothing was bought twice, and nobody waited too long."""
        figures = self.figures()
        all_ended = self.calm.succeeded == self.killed.succeeded == CHAINS
        return all_ended and figures["extra_charges"] == 0 and figures["added_p95_s"] < LIMIT_S


async def take_over(folder: Path) -> Takeover:
    """Measure on a stack in `folder`."""
    settings = {"DIORAMA_PICTURE_HEARTBEAT_S": str(HEARTBEAT_S), "DIORAMA_REPLICATE_CREATES_PER_MINUTE": "6000000"}
    options = StackOptions(fsync=False, sandbox_drawing="fast", settings=settings)
    async with LocalStack(folder, options=options) as stack:
        secrets = load_secrets(stack.root)
        key = secrets.bootstrap_api_key if secrets else ""
        addresses = stack.addresses()
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx.AsyncClient(base_url=addresses.api_url, headers=headers, timeout=30, trust_env=False) as api,
            httpx.AsyncClient(base_url=addresses.sandbox_url, timeout=30, trust_env=False) as sandbox,
        ):
            await without_limits(sandbox)
            calm = await _run(stack, api, sandbox, "calm")
            return Takeover(calm, await _run(stack, api, sandbox, "killed"))


async def _run(stack: LocalStack, api: httpx.AsyncClient, sandbox: httpx.AsyncClient, name: str) -> Run:
    before = len(await read_charges(sandbox))
    request = chain(avatar=lasting(JOB_S), scene=lasting(JOB_S))
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> str:
        async with room:
            answer = await api.post("/v1/generations", json=request(f"{name}-{number}"))
            return str(answer.raise_for_status().json()["id"])

    ids = await asyncio.gather(*(ask(number) for number in range(CHAINS)))
    if name == "killed":
        # By then all first pictures are bought or being bought, and some are done: the worker holds everything.
        await asyncio.sleep(JOB_S)
        await stack.kill("worker")
        await stack.start_service("worker")
    ended = await asyncio.gather(*(_ended(api, id_, room) for id_ in ids))
    succeeded = [one for one in ended if one["status"] == "succeeded"]
    return Run(
        seconds=[_seconds(one) for one in ended],
        succeeded=len(succeeded),
        charges=(await read_charges(sandbox))[before:],
        pictures=sum(len(one["pictures"]) for one in succeeded),
    )


async def _ended(api: httpx.AsyncClient, id_: str, room: asyncio.Semaphore) -> dict[str, Any]:
    """The generation as it is when it has ended, or when patience has."""
    seen: dict[str, Any] = {}

    async def has_ended() -> bool:
        nonlocal seen
        async with room:
            seen = (await api.get(f"/v1/generations/{id_}")).raise_for_status().json()
        return seen["finished_at"] is not None

    with suppress(TimeoutError):
        await until(has_ended, every_s=1.0, within_s=PATIENCE_S)
    return seen


def _seconds(seen: dict[str, Any]) -> float:
    if seen["finished_at"] is None:
        return PATIENCE_S
    return (datetime.fromisoformat(seen["finished_at"]) - datetime.fromisoformat(seen["created_at"])).total_seconds()


def main() -> int:
    """0: everything as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", default=os.environ.get("JSON") == "1", help="only JSON")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="diorama-takeover-"))
    try:
        measured = uvloop.run(take_over(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not given.json:
        sys.stderr.writelines(f"{name:16} {value}\n" for name, value in measured.figures().items())
    sys.stdout.write(json.dumps(measured.figures()) + "\n")
    return 0 if measured.is_as_promised else 1


if __name__ == "__main__":
    sys.exit(main())
