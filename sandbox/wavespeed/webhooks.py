"""WaveSpeed's webhooks: one at a task's end, signed with HMAC-SHA256 in hex, under a secret that is used as it is written."""

import asyncio
import hmac
import math
import time
from dataclasses import asdict
from hashlib import sha256
from typing import Final

import httpx

from sandbox.clock import SandboxClock
from sandbox.faults import FaultBoard
from sandbox.json_text import Json, encode
from sandbox.keys import Keys
from sandbox.record_log import RecordLog
from sandbox.settings import Settings
from sandbox.wavespeed.rendering import TaskRenderer
from sandbox.wavespeed.task_book import TaskBook
from sandbox.wavespeed.tasks import Task
from sandbox.webhook_attempt import REMEMBERED, Attempt
from sandbox.webhook_plan import Habits, habits_of

RETRIES: Final = 5
FIRST_BACKOFF_S: Final = 0.1
TIMEOUT_S: Final = 20.0


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header's value. The secret loses its prefix, and what is left is the key: it is not decoded."""
    key = secret.removeprefix("whsec_").encode()
    return "v3," + hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, sha256).hexdigest()


class TaskWebhooks:
    """Sends each task's webhook from a coroutine of its own, which sleeps until the task ends."""

    def __init__(
        self,
        *,
        clock: SandboxClock,
        log: RecordLog,
        settings: Settings,
        faults: FaultBoard,
        keys: Keys,
        book: TaskBook,
        renderer: TaskRenderer,
    ) -> None:
        self._clock = clock
        self._log = log
        self._settings = settings
        self._faults = faults
        self._keys = keys
        self._book = book
        self._renderer = renderer
        self._running: dict[str, asyncio.Task[None]] = {}
        self._finished: set[str] = set()
        self._told: list[Attempt] = []
        self._http: httpx.AsyncClient | None = None
        log.subscribe("wavespeed_told", lambda record: self._finished.add(str(record["id"])))
        book.listen(self.plan)

    def start(self) -> None:
        """Plan what a killed process left unsent."""
        for task in self._book:
            self.plan(task)

    def plan(self, task: Task) -> None:
        """Tell of a task as soon as it has ended, once its end is known."""
        if task.webhook is None or task.id in self._finished or task.id in self._running or math.isinf(task.ends_at()):
            return
        running = asyncio.get_running_loop().create_task(self._tell(task))
        self._running[task.id] = running
        running.add_done_callback(lambda _: self._running.pop(task.id, None))

    def told(self) -> list[Json]:
        """The newest deliveries, oldest first."""
        return [asdict(one) for one in self._told]

    def erase(self) -> None:
        """Forget what is planned and sent."""
        for running in self._running.values():
            running.cancel()
        self._finished.clear()
        self._told.clear()

    async def close(self) -> None:
        """Stop sending; unfinished deliveries are made after the next start."""
        waiting = list(self._running.values())
        for running in waiting:
            running.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    async def _tell(self, task: Task) -> None:
        struck = self._faults.strike("wavespeed", "webhook", task.raw_prompt, task.directions.faults)
        habits = habits_of(self._settings.webhooks, struck)
        await self._clock.sleep_until(task.ends_at() + habits.late_s)
        if not habits.drop:
            await self._deliver(task, habits)
            if habits.duplicate:
                await self._deliver(task, habits)
        self._finished.add(task.id)
        self._log.append("wavespeed_told", {"id": task.id})

    async def _deliver(self, task: Task, habits: Habits) -> None:
        for attempt in range(RETRIES + 1):
            status = await self._post(task, habits)
            told = Attempt(self._clock.now(), task.id, "completed", _message_id(task), attempt, status)
            self._told = [*self._told[-REMEMBERED:], told]
            if 200 <= status < 300:
                return
            await self._clock.sleep(FIRST_BACKOFF_S * 2**attempt)

    async def _post(self, task: Task, habits: Habits) -> int:
        body = encode(self._renderer.told(task, self._clock.now()))
        moment = int(time.time())  # receivers compare it with their own clock, not with the sandbox's
        signed = body + b" " if habits.bad_signature else body
        headers = {
            "content-type": "application/json",
            "webhook-id": _message_id(task),
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(self._keys.webhook_secret, _message_id(task), moment, signed),
        }
        try:
            response = await self._client().post(str(task.webhook), content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return 0
        return response.status_code

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        return self._http


def _message_id(task: Task) -> str:
    return sha256(f"{task.id} completed".encode()).hexdigest()[:25]
