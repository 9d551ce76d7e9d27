"""Sends webhooks: one heap of what is due, signed as Standard Webhooks prescribe, retried as Cog's sender does.

The real service insists on https addresses and does not follow redirects; this one also takes http, for local receivers.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from standardwebhooks.webhooks import Webhook

from sandbox.clock import SandboxClock
from sandbox.faults import FaultBoard
from sandbox.json_text import Json, encode
from sandbox.keys import Keys
from sandbox.record_log import RecordLog
from sandbox.replicate.prediction_book import PredictionBook
from sandbox.replicate.predictions import Prediction
from sandbox.replicate.rendering import PredictionRenderer
from sandbox.settings import Settings
from sandbox.webhook_attempt import REMEMBERED, Attempt
from sandbox.webhook_plan import Delivery, DueHeap, Habits, early_deliveries, final_deliveries, habits_of

# Numbers of Cog's sender (crates/coglet/src/webhook.rs): only terminal events are retried, after 100 ms * 2^n, n up to 10.
RETRIES: Final = 12
FIRST_BACKOFF_S: Final = 0.1
LARGEST_EXPONENT: Final = 10
RETRIED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
TIMEOUT_S: Final = 30.0
PARALLEL_SENDS: Final = 64


class WebhookSender:
    """One task serves the heap; each delivery in flight is one more."""

    def __init__(
        self,
        *,
        clock: SandboxClock,
        log: RecordLog,
        settings: Settings,
        faults: FaultBoard,
        keys: Keys,
        book: PredictionBook,
        renderer: PredictionRenderer,
    ) -> None:
        self._clock = clock
        self._log = log
        self._settings = settings
        self._faults = faults
        self._signer = Webhook(keys.webhook_key)
        self._book = book
        self._renderer = renderer
        self._heap = DueHeap()
        self._habits: dict[str, Habits] = {}
        self._finished: set[str] = set()
        self._pushed = asyncio.Event()
        self._slots = asyncio.Semaphore(PARALLEL_SENDS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None
        self._began_at = clock.now()
        self._sent: list[Attempt] = []
        log.subscribe("webhook_finished", lambda record: self._finished.add(str(record["id"])))
        book.listen(self.plan)

    def start(self) -> None:
        """Begin to send; what a killed process left unsent is planned again."""
        self._began_at = self._clock.now()
        for prediction in self._book:
            self.plan(prediction)
        self._spawn(self._serve())

    def plan(self, prediction: Prediction) -> None:
        """Plan the webhooks of a prediction that is new, or whose end has become known or has moved."""
        if prediction.webhook is None or prediction.id in self._finished:
            return
        planned: list[tuple[float, Delivery]] = []
        habits = self._habits.get(prediction.id)
        if habits is None:
            faults = self._faults.strike("replicate", "webhook", prediction.raw_prompt, prediction.directions.faults)
            habits = self._habits[prediction.id] = habits_of(self._settings.webhooks, faults)
            planned += [
                (at, delivery)
                for at, delivery in early_deliveries(prediction, habits)
                # What was due before this process began was sent, or lost, by the process before.
                if at >= self._began_at or prediction.created_at >= self._began_at
            ]
        planned += final_deliveries(prediction, habits)
        if not habits.drop:
            for at, delivery in planned:
                self._push(at, delivery)

    def sent(self) -> list[Attempt]:
        """The newest deliveries, oldest first."""
        return list(self._sent)

    def erase(self) -> None:
        """Forget what is planned and sent."""
        self._heap.clear()
        self._habits.clear()
        self._finished.clear()
        self._sent.clear()

    async def close(self) -> None:
        """Stop sending; unfinished deliveries are made after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    async def _serve(self) -> None:
        while True:
            self._pushed.clear()
            while delivery := self._heap.pop(self._clock.now()):
                if self._is_due(delivery):
                    await self._slots.acquire()
                    self._spawn(self._deliver(delivery))
            await self._pushed_or(self._heap.next_at)

    def _is_due(self, delivery: Delivery) -> bool:
        prediction = delivery.prediction
        if self._book.get(prediction.id) is not prediction:
            return False
        if delivery.event in ("start", "logs"):
            # A prediction that ended early has nothing to tell of the moments that it did not live to see.
            return prediction.phase(delivery.shown_at).status == "processing"
        # An end that moved (a cancellation) was planned again under its new time.
        return delivery.shown_at == prediction.ends_at() and (delivery.is_copy or prediction.id not in self._finished)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            status = await self._post(delivery)
        finally:
            self._slots.release()
        prediction = delivery.prediction
        now = self._clock.now()
        del self._sent[: max(0, len(self._sent) + 1 - REMEMBERED)]
        self._sent.append(Attempt(now, prediction.id, delivery.event, delivery.webhook_id, delivery.attempt, status))
        if delivery.event != "completed" or delivery.is_copy:
            return
        if (status == 0 or status in RETRIED_STATUSES) and delivery.attempt < RETRIES:
            backoff_s = FIRST_BACKOFF_S * 2 ** min(delivery.attempt, LARGEST_EXPONENT)
            self._push(now + backoff_s, replace(delivery, attempt=delivery.attempt + 1))
            return
        self._finished.add(prediction.id)
        self._habits.pop(prediction.id, None)
        self._log.append("webhook_finished", {"id": prediction.id})
        if delivery.habits.duplicate:
            self._push(now, replace(delivery, is_copy=True))

    async def _post(self, delivery: Delivery) -> int:
        body = encode(self._body(delivery)).decode()
        moment = datetime.now(UTC)  # receivers compare it with their own clock, not with the sandbox's
        signed = body + " " if delivery.habits.bad_signature else body
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.webhook_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._signer.sign(delivery.webhook_id, moment, signed),
        }
        try:
            response = await self._client().post(str(delivery.prediction.webhook), content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return 0
        return response.status_code

    def _body(self, delivery: Delivery) -> Json:
        return self._renderer.full(delivery.prediction, delivery.shown_at)

    def _push(self, at: float, delivery: Delivery) -> None:
        self._heap.push(at, delivery)
        self._pushed.set()

    async def _pushed_or(self, at: float) -> None:
        waits = [asyncio.ensure_future(self._pushed.wait()), asyncio.ensure_future(self._clock.sleep_until(at))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Limits(max_connections=PARALLEL_SENDS, max_keepalive_connections=PARALLEL_SENDS)
            self._http = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, limits=limits)
        return self._http
