"""Our own programs on the servers of a stack: the API and up to two workers, each from any tree.

Two workers, so that what one leaves behind is another's at once, and so that two attempts can overlap.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from deploy.environment import without_proxy
from deploy.leftovers import ROOT_MARK
from deploy.local import LocalStack
from deploy.programs import api_service, worker_service
from deploy.service import Service
from deploy.stack_ports import find_free_port
from tests.crash.offspring import Offspring
from tests.nursery import Nursery

SERVERS = ("postgres", "temporal", "store", "sandbox")
WORKERS = ("worker", "second-worker")
OURS = ("api", *WORKERS)
# What the stack itself runs: the migrations make the tables, and end.
STACK_SERVICES = frozenset({*SERVERS, "migrations"})
READY_TIMEOUT_S = 90.0


class Crew:
    """The programs of a stack by name; each of ours runs from the tree that it was last told to run from."""

    def __init__(self, servers: LocalStack, nursery: Nursery, log_folder: Path) -> None:
        self.root = servers.root
        self._servers = servers
        self._nursery = nursery
        self._log_folder = log_folder
        self._trees: dict[str, Path] = {}
        self._programs: dict[str, Offspring] = {}
        self._second_health_port = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All that are to be up."""
        return (*self._programs, *SERVERS)

    def pid(self, name: str) -> int | None:
        """The process id of a program while it runs."""
        if name in OURS:
            return self._programs[name].pid if name in self._programs else None
        return self._servers.pid(name)

    async def start_service(self, name: str) -> None:
        """Start one that is down. Raises ServiceFailed."""
        await (self._programs[name].start() if name in OURS else self._servers.start_service(name))

    def environment(self) -> dict[str, str]:
        """The DIORAMA_* variables that ours are started with."""
        return self._servers.environment()

    async def run(self, trees: Mapping[str, Path]) -> None:
        """Have these of ours serve and no others, each from its tree: one that does so already goes on."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        await self._end([name for name in self._programs if self._trees[name] != trees.get(name)])
        services = {name: self._service(name, tree) for name, tree in trees.items() if name not in self._programs}
        for name, service in services.items():
            self._trees[name] = trees[name]
            self._programs[name] = Offspring(service, self.root, self._nursery, self._log_folder)
        await asyncio.gather(*(program.start() for program in self._programs.values()))

    @asynccontextmanager
    async def serving(self, tree: Path) -> AsyncIterator[None]:
        """All of ours serve from a tree, until the block ends; then they are gone at once."""
        try:
            await self.run(dict.fromkeys(OURS, tree))
            yield
        finally:
            await self.end()

    async def end(self) -> None:
        """None of ours is left."""
        await self._end([*self._programs])

    async def _end(self, names: Iterable[str]) -> None:
        for name in names:
            await self._programs.pop(name).kill()

    def _service(self, name: str, tree: Path) -> Service:
        variables = self._servers.environment()
        # Without what would measure their coverage: programs that are killed every few seconds had better start quickly.
        callers = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
        environment = {
            **callers,
            **without_proxy(callers),
            **variables,
            "PYTHONPATH": str(tree),
            "PYTHONUNBUFFERED": "1",
            ROOT_MARK: str(self.root),
        }
        port, health_port = int(variables["DIORAMA_API_PORT"]), int(variables["DIORAMA_WORKER_HEALTH_PORT"])
        if name == "api":
            service = api_service(tree, port=port, environment=environment)
        elif name == "worker":
            service = worker_service(tree, health_port=health_port, environment=environment)
        else:
            self._second_health_port = self._second_health_port or find_free_port({port, health_port})
            environment["DIORAMA_WORKER_HEALTH_PORT"] = str(self._second_health_port)
            service = worker_service(tree, health_port=self._second_health_port, environment=environment)
        # Those that wait for each other do so without end when one of them may be down for good.
        return replace(service, name=name, ready_timeout_s=READY_TIMEOUT_S, after=frozenset())
