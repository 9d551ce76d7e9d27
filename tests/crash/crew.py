"""Our own programs on the servers of a stack: the API and two workers, from any tree.

Two workers, so that what one leaves behind is another's at once, and so that two attempts can overlap.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from deploy.environment import without_proxy
from deploy.leftovers import ROOT_MARK
from deploy.local import LocalStack
from deploy.programs import api_service, worker_service
from deploy.stack_ports import find_free_port
from deploy.supervisor import Supervisor

SERVERS = ("postgres", "temporal", "store", "sandbox")
WORKERS = ("worker", "second-worker")
OURS = ("api", *WORKERS)
# What the stack itself runs: the migrations make the tables, and end.
STACK_SERVICES = frozenset({*SERVERS, "migrations"})
READY_TIMEOUT_S = 90.0


class Crew:
    """The programs of a stack by name; `tree` is where the source of ours is."""

    def __init__(self, servers: LocalStack, tree: Path, log_folder: Path) -> None:
        self.root = servers.root
        self._servers = servers
        log_folder.mkdir(parents=True, exist_ok=True)
        variables = servers.environment()
        # Without what would measure their coverage: programs that are killed every few seconds had better start quickly.
        callers = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
        environment = {
            **callers,
            **without_proxy(callers),
            **variables,
            "PYTHONPATH": str(tree),
            "PYTHONUNBUFFERED": "1",
            ROOT_MARK: str(servers.root),
        }
        port, health_port = int(variables["DIORAMA_API_PORT"]), int(variables["DIORAMA_WORKER_HEALTH_PORT"])
        other_port = find_free_port({port, health_port})
        second = environment | {"DIORAMA_WORKER_HEALTH_PORT": str(other_port)}
        services = [
            api_service(tree, port=port, environment=environment),
            worker_service(tree, health_port=health_port, environment=environment),
            replace(worker_service(tree, health_port=other_port, environment=second), name=WORKERS[1]),
        ]
        # Those that wait for each other do so without end when one of them may be down for good.
        alone = [replace(one, ready_timeout_s=READY_TIMEOUT_S, after=frozenset()) for one in services]
        self._programs = Supervisor(alone, log_folder=log_folder)

    def pid(self, name: str) -> int | None:
        """The process id of a program while it runs."""
        return self._programs.pid(name) if name in OURS else self._servers.pid(name)

    async def start_service(self, name: str) -> None:
        """Start one that is down. Raises ServiceFailed."""
        await (self._programs.start(name) if name in OURS else self._servers.start_service(name))

    def environment(self) -> dict[str, str]:
        """The DIORAMA_* variables that ours are started with."""
        return self._servers.environment()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Ours serve, until the block ends; then they are gone at once."""
        await self._programs.start_all()
        try:
            yield
        finally:
            for name in OURS:
                await self._programs.kill(name)
