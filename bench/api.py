"""How fast requests are accepted and read, beside what FastAPI and PostgreSQL alone can do (bench/api_limit.py).

    python -m bench.api [--quick] [--json]

Starts PostgreSQL (fsync on), the engine, the store and the API, and beside it the limit as a process with the same settings. Both
are asked in turn, block by block, by the same callers; the API also for a tenant with every limit, quota and budget that there is.
The engine starts what was accepted, on the same cores and for more CPU than all else in a request; so requests are accepted
both beside it and, `engine apart`, while it stands still, as with an engine on a machine of its own.
What is told are medians over the blocks, since one block says more about the machine than about us. The callers share the
machine, and their own time is in all times: how the servers themselves compare is better seen by the CPU that each took. With
--json, or JSON=1 in the environment, the last line is one JSON object. Exit code 1 when a request was not answered as it should
be, never because of a slow figure.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import asyncpg
import psutil
import uvloop

from bench.api_figures import APART, LIMIT, LIMITED, LIMITED_APART, OURS, TARGETS, Block, as_json, table
from bench.closed_loop import ChainRun, LoopRun, closed_loop
from bench.percentiles import Spread
from deploy.local import LocalStack
from deploy.stack_ports import LOOPBACK, find_free_port
from deploy.stack_state import load_secrets

SERVICES: Final = frozenset({"postgres", "migrations", "temporal", "store", "api"})
# No request of a run meets them, but each is counted by all of them.
LIMITS: Final = {"requests_per_minute": 1_000_000, "in_flight": 100_000, "per_day": 100_000}
BUDGET: Final = {"of": "tenant", "period": "month", "limit_usd": "100000"}
STARTED_WITHIN_S: Final = 60
REQUEST: Final[dict[str, Any]] = {
    "kind": "avatar_scene",
    "avatar": {"description": "a young explorer with short red hair"},
    "scene": {"theme": "aurora-night", "details": "a small red cabin"},
    "session_id": "evening-walk",
    "tags": ["bench"],
}


@dataclass(frozen=True, slots=True)
class Plan:
    """So many blocks of requests to each server, from so many callers at once."""

    blocks: int
    requests: int
    at_once: int


FULL: Final = Plan(blocks=15, requests=400, at_once=4)
QUICK: Final = Plan(blocks=5, requests=200, at_once=4)


@dataclass(slots=True)
class Server:
    """Where it is, its process, the key it is asked with, and the ids that it accepted."""

    name: str
    url: str
    pid: int
    key: str
    ids: list[str] = field(default_factory=list)


class Callers:
    """Ask one of the servers from several connections that stay open."""

    def __init__(self, session: aiohttp.ClientSession, plan: Plan) -> None:
        self._session = session
        self._plan = plan

    async def block(self, action: str, server: Server) -> Block:
        """One block of requests."""
        ask = self._submit if action == "submit" else self._status
        process = psutil.Process(server.pid)
        begun = _cpu_s(process)

        async def one(_number: int) -> ChainRun:
            started = time.perf_counter()
            await ask(server)
            return ChainRun(action, time.perf_counter() - started)

        run: LoopRun = await closed_loop(one, count=self._plan.requests, at_once=self._plan.at_once)
        cpu_ms = (_cpu_s(process) - begun) * 1000 / self._plan.requests
        spread = Spread.of_seconds(chain.seconds for chain in run.chains)
        return Block(spread, run.per_second, cpu_ms, run.failures)

    async def _submit(self, server: Server) -> None:
        headers = {"Authorization": f"Bearer {server.key}", "Idempotency-Key": uuid4().hex}
        async with self._session.post(f"{server.url}/v1/generations", json=REQUEST, headers=headers) as answer:
            body = await answer.json()
            if answer.status != 202:
                raise AssertionError(f"{server.name}: {answer.status} {body}")
        server.ids.append(body["id"])

    async def _status(self, server: Server) -> None:
        headers = {"Authorization": f"Bearer {server.key}"}
        wanted = random.choice(server.ids)
        async with self._session.get(f"{server.url}/v1/generations/{wanted}", headers=headers) as answer:
            body = await answer.json()
            if answer.status != 200 or body["id"] != wanted:
                raise AssertionError(f"{server.name}: {answer.status} {body}")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(plan: Plan, folder: Path) -> dict[str, dict[str, list[Block]]]:
    """Action -> server -> its blocks."""
    async with (
        LocalStack(folder, services=SERVICES) as stack,
        _limit(stack) as limit,
        aiohttp.ClientSession() as session,
    ):
        ours = _ours(stack)
        limited = replace(ours, name=LIMITED, ids=[])
        apart = [replace(ours, name=APART, ids=[]), replace(ours, name=LIMITED_APART, ids=[])]
        # Nothing is started by who reads.
        asked = {"submit": [ours, limited, *apart, limit], "status": [ours, limited, limit]}
        callers = Callers(session, plan)
        connection = await asyncpg.connect(stack.addresses().database_url)
        found: dict[str, dict[str, list[Block]]] = {
            action: {one.name: [] for one in asked[action]} for action in TARGETS
        }
        for number in range(plan.blocks + 1):
            limited.key, limited.ids = await _limited_key(session, ours), []
            apart[1].key = await _limited_key(session, ours)
            for action, servers in asked.items():
                for server in servers if number % 2 else reversed(servers):
                    with _engine_still(stack) if server in apart else nullcontext():
                        block = await callers.block(action, server)
                    await _all_started(connection)
                    if number:  # the first one warms up
                        found[action][server.name].append(block)
        await connection.close()
    return found


@contextmanager
def _engine_still(stack: LocalStack) -> Iterator[None]:
    """The API takes that for an engine that is slow."""
    stack.pause("temporal")
    try:
        yield
    finally:
        stack.resume("temporal")


def _ours(stack: LocalStack) -> Server:
    secrets, pid = load_secrets(stack.root), stack.pid("api")
    if secrets is None or pid is None:
        raise RuntimeError(f"the API does not run; see {stack.root / 'logs'}")
    return Server(OURS, stack.addresses().api_url, pid, secrets.bootstrap_api_key)


async def _limited_key(session: aiohttp.ClientSession, ours: Server) -> str:
    """The key of a new tenant with limits: what one has accepted before is counted with each request, so that it must stay few."""
    tenant = await _made(session, f"{ours.url}/v1/tenants", ours.key, {"name": uuid4().hex, **LIMITS})
    key: str = tenant["key"]["api_key"]
    await _made(session, f"{ours.url}/v1/budgets", key, BUDGET)
    return key


async def _made(session: aiohttp.ClientSession, url: str, key: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    async with session.post(url, json=wanted, headers={"Authorization": f"Bearer {key}"}) as answer:
        made: dict[str, Any] = await answer.json()
        if answer.status != 201:
            raise RuntimeError(f"{url}: {answer.status} {made}")
    return made


@asynccontextmanager
async def _limit(stack: LocalStack) -> AsyncIterator[Server]:
    """The limit's process, ended with the block."""
    port = find_free_port()
    environment = {**os.environ, **stack.environment(), "DIORAMA_API_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.api_limit", env=environment)
    server = Server(LIMIT, f"http://{LOOPBACK}:{port}", process.pid, "nobody asks for one")
    try:
        await _is_open(port, process)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_open(port: int, process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise RuntimeError("the limit's process ended before it had started")


async def _all_started(connection: asyncpg.Connection) -> None:
    """Wait until the engine has all that was accepted: what it does for one block must not slow down the next.

    Raises TimeoutError.
    """
    query = "select count(*) from generation where dispatched_at is null and status = 'queued'"
    async with asyncio.timeout(STARTED_WITHIN_S):
        while await connection.fetchval(query):  # noqa: ASYNC110 the rows change in another process
            await asyncio.sleep(0.05)


def main() -> int:
    """0 when all requests were answered as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less than a minute; the figures are rougher")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder:
        found = uvloop.run(measure(plan, Path(folder)))
    print(f"{plan.blocks} blocks of {plan.requests} requests to each, {plan.at_once} at once; medians over the blocks.")
    print(table(found))
    failures = [
        words for by in found.values() for blocks in by.values() for block in blocks for words in block.failures
    ]
    print(
        "\n".join(f"  failure: {words}" for words in failures[:3]) or "  all requests were answered as they should be"
    )
    if given.json or os.environ.get("JSON") == "1":
        print(json.dumps(as_json(found) | {"failures": len(failures)}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
