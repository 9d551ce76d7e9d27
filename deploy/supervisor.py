"""Starts services by readiness, notices when one ends, and ends them in reverse order."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from deploy.failures import (
    CommandFailed,
    NotReadyYet,
    ServiceFailed,
    ServiceFailure,
    StackError,
    describe_exit,
)
from deploy.process import Launch, Spawn, StackProcess, exit_code_of
from deploy.service import Service
from deploy.service_log import ServiceLog
from deploy.supervised_service import SupervisedService

READINESS_POLL_S = 0.03
# A check that hangs (a paused server accepts connections) must not hide that the service has ended.
READINESS_CHECK_TIMEOUT_S = 3.0

Progress = Callable[[str, str], None]


class Supervisor:
    """Owns the processes of a set of services; made and used in one event loop and one thread.

    The thread matters: the kernel ties a child's life to the thread that started it.
    """

    def __init__(
        self,
        services: Iterable[Service],
        *,
        log_folder: Path,
        on_progress: Progress | None = None,
        spawn: Spawn = StackProcess.spawn,
    ) -> None:
        self._spawn = spawn
        self._services = {
            service.name: SupervisedService(service, ServiceLog(log_folder / f"{service.name}.log"))
            for service in services
        }
        self._on_progress = on_progress or (lambda _name, _state: None)
        self._failures: dict[str, ServiceFailure] = {}
        self._failed = asyncio.Event()

    async def start_all(self) -> None:
        """Start every service as soon as those it comes after are ready; returns when all are ready.

        Raises ServiceFailed for the first that fails; the others are ended then.
        """
        starts = [asyncio.create_task(self._start_in_turn(name)) for name in self._services]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop_all()
            raise

    async def stop_all(self) -> None:
        """End every service, those that nothing depends on first."""
        for names in reversed(self._layers()):
            await asyncio.gather(*(self.stop(name) for name in names))

    async def start(self, name: str) -> None:
        """Start one service and wait until it is ready; nothing happens when it runs.

        Raises ServiceFailed: it ended, or was not ready in time.
        """
        supervised = self._services[name]
        if supervised.process is not None:
            if supervised.process.exit_code is None:
                return
            await self._abandon(supervised)
        self._forget_failure(name)
        self._on_progress(name, "starting")
        try:
            await self._bring_up(supervised)
        except BaseException as trouble:
            await self._abandon(supervised)
            if isinstance(trouble, StackError):
                self._on_progress(name, "failed")
            raise
        supervised.ready.set()
        self._on_progress(name, "done" if supervised.service.runs_to_end else "ready")

    async def stop(self, name: str) -> None:
        """End one service within its grace; nothing happens when it does not run."""
        supervised = self._services[name]
        process = self._release(supervised)
        if process is None:
            return
        self._on_progress(name, "stopping")
        await process.stop(supervised.service.stop_signal, supervised.service.grace_s)
        self._on_progress(name, "stopped")

    async def restart(self, name: str) -> None:
        """Stop, then start."""
        await self.stop(name)
        await self.start(name)

    async def kill(self, name: str) -> None:
        """SIGKILL without warning; the service stays down and this counts as no failure."""
        process = self._release(self._services[name])
        if process is not None:
            await process.kill()
            self._on_progress(name, "killed")

    def pause(self, name: str) -> None:
        """SIGSTOP to the service and its descendants: it is there, and answers nothing."""
        self._running(name).pause()

    def resume(self, name: str) -> None:
        """SIGCONT after `pause`."""
        self._running(name).resume()

    def pid(self, name: str) -> int | None:
        """The service's process id while it runs."""
        process = self._services[name].process
        return process.pid if process is not None and process.exit_code is None else None

    async def wait_failed(self) -> ServiceFailure:
        """Wait until a service that should run has ended; answers at once again until it is started anew."""
        await self._failed.wait()
        return next(iter(self._failures.values()))

    async def _start_in_turn(self, name: str) -> None:
        for earlier in self._services[name].service.after & self._services.keys():
            await self._services[earlier].ready.wait()
        await self.start(name)

    async def _bring_up(self, supervised: SupervisedService) -> None:
        service = supervised.service
        supervised.log.begin_run()
        service.folder.mkdir(parents=True, exist_ok=True)

        async def run_command(command: Sequence[str]) -> None:
            await _run_to_end(supervised.launch(command))

        try:
            await service.before_start(run_command)
        except CommandFailed as trouble:
            failure = supervised.failure(f"it could not be prepared: {trouble.detail}", trouble.exit_code)
            raise ServiceFailed(failure) from trouble
        process = await self._spawn(supervised.launch(service.command))
        supervised.process = process
        if service.runs_to_end:
            await self._await_success(supervised, process)
            supervised.process = None
        else:
            await self._await_readiness(supervised, process)
            supervised.watcher = asyncio.create_task(self._watch(supervised, process))

    async def _await_success(self, supervised: SupervisedService, process: StackProcess) -> None:
        timeout_s = supervised.service.ready_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                exit_code = await process.wait()
        except TimeoutError:
            failure = supervised.failure(f"it did not end within {timeout_s:g} seconds")
            raise ServiceFailed(failure) from None
        if exit_code != 0:
            raise ServiceFailed(supervised.failure(describe_exit(exit_code), exit_code))

    async def _await_readiness(self, supervised: SupervisedService, process: StackProcess) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = supervised.service.ready_timeout_s
        deadline = loop.time() + timeout_s
        missing = ""
        while loop.time() < deadline:
            answer = await _why_not_ready(supervised.service)
            if process.exit_code is not None:
                raise ServiceFailed(
                    supervised.failure(f"{describe_exit(process.exit_code)} before it was ready", process.exit_code),
                )
            if answer is None:
                return
            missing = answer
            await asyncio.sleep(READINESS_POLL_S)
        raise ServiceFailed(supervised.failure(f"it was not ready after {timeout_s:g} seconds: {missing}"))

    async def _watch(self, supervised: SupervisedService, process: StackProcess) -> None:
        exit_code = await process.wait()
        # What it started must not outlive it, and must not hold its port against a restart.
        await process.kill()
        supervised.process = supervised.watcher = None
        supervised.ready.clear()
        name = supervised.service.name
        self._failures[name] = supervised.failure(describe_exit(exit_code), exit_code)
        self._failed.set()
        self._on_progress(name, "failed")

    def _release(self, supervised: SupervisedService) -> StackProcess | None:
        """Take the process out of the books, so that its end is no failure."""
        process, supervised.process = supervised.process, None
        if supervised.watcher is not None:
            supervised.watcher.cancel()
            supervised.watcher = None
        supervised.ready.clear()
        self._forget_failure(supervised.service.name)
        return process

    async def _abandon(self, supervised: SupervisedService) -> None:
        process = self._release(supervised)
        if process is not None:
            await process.stop(supervised.service.stop_signal, supervised.service.grace_s)

    def _forget_failure(self, name: str) -> None:
        self._failures.pop(name, None)
        if not self._failures:
            self._failed.clear()

    def _running(self, name: str) -> StackProcess:
        process = self._services[name].process
        if process is None:
            raise ServiceFailed(self._services[name].failure("it does not run"))
        return process

    def _layers(self) -> list[list[str]]:
        """Names in starting order: each layer needs only what stands in earlier ones."""
        layers: list[list[str]] = []
        waiting = dict(self._services)
        while waiting:
            layer = [n for n, s in waiting.items() if not s.service.after & waiting.keys()]
            layers.append(layer or list(waiting))
            for name in layers[-1]:
                del waiting[name]
        return layers


async def _why_not_ready(service: Service) -> str | None:
    try:
        # Not wait_for: in Python 3.11 it swallows a cancellation that meets the end of what it waits for.
        async with asyncio.timeout(READINESS_CHECK_TIMEOUT_S):
            await service.ready()
    except NotReadyYet as answer:
        return answer.detail
    except TimeoutError:
        return f"its readiness check did not answer within {READINESS_CHECK_TIMEOUT_S:g} seconds"
    return None


async def _run_to_end(launch: Launch) -> None:
    exit_code = await exit_code_of(launch)
    if exit_code != 0:
        raise CommandFailed(Path(launch.command[0]).name, exit_code)
