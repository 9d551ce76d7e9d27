"""One LISTEN connection per process. A notification is only a hint: whoever is woken reads the rows."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from background import in_background

log = structlog.get_logger(__name__)

RECONNECT_DELAYS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
ANSWER_WITHIN_S = 5
# A server that went away without a word ends no connection: so it is asked now and then.
ASK_EVERY_S = 10


class Listener:
    """Wakes subscribers of (channel, payload). After a lost connection everybody is woken, as something may have been missed."""

    def __init__(self, url: str, channels: tuple[str, ...]) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channels = channels
        self._subscribers: dict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)
        self._everything: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, channel: str, payload: str | None = None) -> Iterator[asyncio.Event]:
        """An event that is set at every notification for `payload` (None: for any) until the block ends."""
        woken = asyncio.Event()
        group = self._everything[channel] if payload is None else self._subscribers[(channel, payload)]
        group.add(woken)
        try:
            yield woken
        finally:
            group.discard(woken)
            if payload is not None and not group:
                self._subscribers.pop((channel, payload), None)

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Keep listening, reconnecting as needed, until the block ends."""
        return in_background(self._run(), name="postgres-listener")

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                await self._listen_until_lost()
                attempt = 0
            except (
                Exception,
                asyncio.CancelledError,
            ) as error:  # whatever it was: a process must not go on without ears
                if _is_canceled():
                    raise
                log.warning("listener.lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_DELAYS_S[min(attempt, len(RECONNECT_DELAYS_S) - 1)])
            attempt += 1

    async def _listen_until_lost(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(
            self._dsn,
            timeout=ANSWER_WITHIN_S,
            command_timeout=ANSWER_WITHIN_S,
            server_settings={"application_name": "diorama-listen"},
        )
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for channel in self._channels:
                await connection.add_listener(channel, self._notified)
            self._wake_all()
            while not lost.is_set():
                await self._wait(lost)
                if not lost.is_set():
                    await connection.execute("select 1")
        finally:
            connection.terminate()

    @staticmethod
    async def _wait(lost: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_EVERY_S):
                await lost.wait()

    def _notified(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        for woken in (*self._subscribers.get((channel, str(payload)), ()), *self._everything.get(channel, ())):
            woken.set()

    def _wake_all(self) -> None:
        for group in (*self._subscribers.values(), *self._everything.values()):
            for woken in group:
                woken.set()


def _is_canceled() -> bool:
    """Whether this task is told to end. A CancelledError alone may be that of a future inside the driver."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
