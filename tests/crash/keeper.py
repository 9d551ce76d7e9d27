"""Brings back whatever dies, as an operator's supervisor does: the lab only ever kills."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import psutil

from deploy.failures import StackError
from deploy.leftovers import GONE, send
from tests.crash.journal import LabJournal
from tests.crash.looking import until
from tests.crash.programs import Programs

LOOK_EVERY_S = 0.03
TRY_AGAIN_S = 0.3
# Some start several times, each time until they are killed or a minute and a half is over.
ALL_UP_WITHIN_S = 300.0

WhenBack = Callable[[], Awaitable[None]]


class Keeper:
    """Watches the services of a stack and starts those that are down, after the outage that was asked for.

    `when_back` is awaited for a service that was started again, before anything else is done with it.
    """

    def __init__(
        self, stack: Programs, services: Iterable[str], journal: LabJournal, when_back: dict[str, WhenBack]
    ) -> None:
        self._stack = stack
        self._services = tuple(services)
        self._journal = journal
        self._when_back = when_back
        self._outages: dict[str, float] = {}
        self._reviving: dict[str, asyncio.Task[None]] = {}
        self.kills: Counter[str] = Counter()

    def kill(self, service: str, *, outage_s: float = 0.0) -> bool:
        """SIGKILL a service with all its descendants, also while it starts. False: there is nothing to kill just now."""
        pid = self._stack.pid(service)
        if pid is None:
            return False
        self._outages[service] = outage_s
        self.kills[service] += 1
        self._journal.note(f"{service} killed, down for {outage_s:.1f} s")
        with contextlib.suppress(*GONE):
            leader = psutil.Process(pid)
            send([leader, *leader.children(recursive=True)], signal.SIGKILL)
        return True

    def serves(self, service: str) -> bool:
        """Whether it runs, as far as is known, and is not just being started."""
        return service not in self._reviving and self._stack.pid(service) is not None

    @contextlib.asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Keep the services up until the block ends."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            tasks = [watching, *self._reviving.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def all_up(self) -> None:
        """Wait until every service serves."""
        await until(self._is_all_up, every_s=LOOK_EVERY_S, within_s=ALL_UP_WITHIN_S)

    async def _is_all_up(self) -> bool:
        return all(self.serves(name) for name in self._services)

    async def _watch(self) -> None:
        while True:
            for name in self._services:
                if name not in self._reviving and self._stack.pid(name) is None:
                    self._reviving[name] = asyncio.create_task(self._revive(name))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _revive(self, name: str) -> None:
        try:
            await asyncio.sleep(self._outages.pop(name, 0.0))
            await until(lambda: self._is_started(name), every_s=TRY_AGAIN_S, within_s=None)
            if name in self._when_back:
                await self._when_back[name]()
            self._journal.note(f"{name} is back")
        finally:
            del self._reviving[name]

    async def _is_started(self, name: str) -> bool:
        try:
            await self._stack.start_service(name)
        except StackError as trouble:  # killed while it started, or what it needs is down
            self._journal.note(f"{name} did not start: {type(trouble).__name__}")
            return False
        return True
