"""The local stack: PostgreSQL, Temporal, the object store, the sandbox providers, the API and the worker, as one thing."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.addresses import StackAddresses, stack_addresses
from deploy.environment import stack_environment
from deploy.failures import ServiceFailed, ServiceFailure, StackNotStarted
from deploy.leftovers import end_leftovers
from deploy.options import ALL, FOR_PEOPLE, StackOptions
from deploy.postgres_identity import postgres_identity
from deploy.process import Spawn, StackProcess
from deploy.reaper_handle import ReaperHandle
from deploy.running import running
from deploy.stack_lock import StackLock, stack_root
from deploy.stack_ports import claimed, is_free
from deploy.stack_services import StackPlan, build_services, server_environment
from deploy.stack_state import ensure_ports, ensure_secrets
from deploy.supervisor import Progress, Supervisor

__all__ = ["ALL", "LocalStack", "ServiceFailure", "StackAddresses", "StackOptions", "running"]

# A port is free when it is chosen and may be lost before the service listens on it.
PORT_ATTEMPTS = 3


class LocalStack:
    """Every server that Diorama needs, in one folder, run and watched by this process.

    Nothing outlives it: not a failed start, not Ctrl-C, not kill -9 of this process. The data stays in `root`.
    Use it from one event loop and one thread, as a context manager or with `start` and `stop`.
    """

    def __init__(
        self,
        root: Path,
        *,
        services: frozenset[str] = ALL,
        options: StackOptions = FOR_PEOPLE,
        environment: Mapping[str, str] = os.environ,
        spawn: Spawn = StackProcess.spawn,
    ) -> None:
        unknown = services - ALL
        if unknown:
            raise ValueError(f"unknown services: {', '.join(sorted(unknown))}")
        self.root = stack_root(root)
        self._services = services
        self._options = options
        self._callers = environment
        self._spawn = spawn
        self._lock = StackLock(self.root)
        self._reaper: ReaperHandle | None = None
        self._supervisor: Supervisor | None = None
        self._plan: StackPlan | None = None
        self._claims = ExitStack()

    async def start(self, on_progress: Progress | None = None) -> StackAddresses:
        """Start every service; returns when all of them are healthy.

        `on_progress(service, state)` is told `starting`, `ready`, `done` (the migrations), `failed`, `stopping`,
        `stopped` and `killed`, for as long as the stack lives.
        Raises StackAlreadyRunning, ServiceFailed, PortTaken, BinaryMissing, StackStateBroken, DataOfAnotherVersion or
        SecretsDoNotFit; nothing runs then.
        """
        await self._lock.acquire()
        try:
            self._reaper = await ReaperHandle.start(self.root, lock_descriptor=self._lock.descriptor)
            await asyncio.to_thread(end_leftovers, self.root)
            await self._start_with_free_ports(on_progress)
        except BaseException:
            await self.stop()
            raise
        return self.addresses()

    async def stop(self) -> None:
        """End every service in reverse order and let go of the folder; harmless when nothing runs."""
        stopping = asyncio.ensure_future(self._stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            # A second Ctrl-C must not leave half of the stack behind; each service's grace bounds the wait.
            await stopping
            raise

    async def restart(self, name: str) -> None:
        """Stop one service, if it runs, and start it again on the same ports. Raises ServiceFailed."""
        await self._running().restart(name)

    async def start_service(self, name: str) -> None:
        """Start one service that is down, after `kill` or a failure. Raises ServiceFailed."""
        await self._running().start(name)

    async def stop_service(self, name: str) -> None:
        """End one service gracefully; it stays down until `start_service` or `restart`."""
        await self._running().stop(name)

    async def kill(self, name: str) -> None:
        """SIGKILL one service and its descendants; it stays down until `start_service` or `restart`."""
        await self._running().kill(name)

    def pause(self, name: str) -> None:
        """SIGSTOP one service and its descendants. Raises ServiceFailed: it does not run."""
        self._running().pause(name)

    def resume(self, name: str) -> None:
        """SIGCONT after `pause`. Raises ServiceFailed: it does not run."""
        self._running().resume(name)

    def pid(self, name: str) -> int | None:
        """The process id of a service while it runs."""
        return self._running().pid(name)

    async def wait_failed(self) -> ServiceFailure:
        """Wait until a service that should run has ended; `kill` and `stop_service` are no failures."""
        return await self._running().wait_failed()

    def addresses(self) -> StackAddresses:
        """Where the services are. Raises StackNotStarted."""
        plan = self._planned()
        return stack_addresses(plan.ports, plan.secrets)

    def environment(self) -> dict[str, str]:
        """The DIORAMA_* variables that the API and the worker are started with. Raises StackNotStarted."""
        plan = self._planned()
        return stack_environment(plan.ports, plan.secrets, plan.options, plan.callers)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        trouble: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _start_with_free_ports(self, on_progress: Progress | None) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            plan = await self._make_plan()
            self._claims.close()
            self._claims.enter_context(claimed(plan.ports.values()))
            services = build_services(plan, self._services)
            supervisor = Supervisor(services, log_folder=self.root / "logs", on_progress=on_progress, spawn=self._spawn)
            self._plan, self._supervisor = plan, supervisor
            try:
                await supervisor.start_all()
            except ServiceFailed as trouble:
                # All is down again, so a port that is not free was taken by another program.
                lost = [
                    name
                    for service in services
                    if service.name == trouble.failure.name
                    for name in service.ports
                    if not is_free(plan.ports[name])
                ]
                if not lost or attempt == PORT_ATTEMPTS:
                    raise
            else:
                return

    async def _make_plan(self) -> StackPlan:
        wanted = dict(self._options.ports)
        state = ensure_ports(self.root, services=self._services, wanted=wanted)
        plan = StackPlan(
            root=self.root,
            ports=state.ports,
            secrets=ensure_secrets(self.root),
            options=self._options,
            callers=self._callers,
        )
        if "postgres" not in self._services:
            return plan
        for folder in ("postgres", "logs"):
            (self.root / folder).mkdir(exist_ok=True)
        identity = await postgres_identity(
            self.root / "postgres",
            environment=server_environment(self.root, self._callers),
            log=self.root / "logs" / "postgres.log",
        )
        return replace(plan, identity=identity)

    async def _stop(self) -> None:
        try:
            if self._supervisor is not None:
                await self._supervisor.stop_all()
        finally:
            self._supervisor = self._plan = None
            self._claims.close()
            reaper, self._reaper = self._reaper, None
            if reaper is not None:
                await reaper.release()
            self._lock.release()

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise StackNotStarted
        return self._supervisor

    def _planned(self) -> StackPlan:
        if self._plan is None:
            raise StackNotStarted
        return self._plan
