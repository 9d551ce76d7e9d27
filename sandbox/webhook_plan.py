"""Which webhooks a prediction gets, when, and how badly they behave."""

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from sandbox.faults import Fault
from sandbox.replicate.predictions import Prediction, WebhookEvent
from sandbox.settings import WebhookHabits

LEAST_INTERVAL_S: Final = 0.5
"""Logs events come at most once in this time."""
OVERTAKEN_BY_S: Final = 0.2
"""How long after the completed event an overtaken earlier event arrives."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the webhooks of one prediction behave."""

    duplicate: bool
    late_s: float
    out_of_order: bool
    drop: bool
    bad_signature: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message: `shown_at` is the moment whose state it tells. Repeats of it carry the same id."""

    prediction: Prediction
    event: WebhookEvent
    shown_at: float
    habits: Habits
    attempt: int = 0
    is_copy: bool = False

    @property
    def webhook_id(self) -> str:
        """The id that stays the same on resends."""
        digest = sha256(f"{self.prediction.id} {self.event} {self.shown_at}".encode()).hexdigest()
        return f"msg_{digest[:27]}"


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    delivery: Delivery = field(compare=False)


class DueHeap:
    """Deliveries in the order in which they are due."""

    def __init__(self) -> None:
        self._heap: list[_Due] = []
        self._numbers = itertools.count()

    def push(self, at: float, delivery: Delivery) -> None:
        """Add a delivery for this time."""
        heapq.heappush(self._heap, _Due(at, next(self._numbers), delivery))

    def pop(self, now: float) -> Delivery | None:
        """The next delivery that is due."""
        return heapq.heappop(self._heap).delivery if self._heap and self._heap[0].at <= now else None

    @property
    def next_at(self) -> float:
        """When the next one is due; infinite when there is none."""
        return self._heap[0].at if self._heap else math.inf

    def clear(self) -> None:
        """Drop all."""
        self._heap.clear()


def habits_of(settings: WebhookHabits, faults: Iterable[Fault]) -> Habits:
    """The settings of the sandbox, made worse by the faults that struck this prediction's webhooks."""
    struck = {fault.name: fault for fault in faults}
    late = struck.get("webhook_late")
    return Habits(
        duplicate=settings.duplicate or "webhook_duplicate" in struck,
        late_s=late.number("seconds", 5.0) if late else settings.late_s,
        out_of_order=settings.out_of_order or "webhook_out_of_order" in struck,
        drop=settings.drop or "webhook_drop" in struck,
        bad_signature="webhook_bad_signature" in struck,
    )


def early_deliveries(prediction: Prediction, habits: Habits) -> list[tuple[float, Delivery]]:
    """The start and logs events of a new prediction with the times at which they are due."""
    planned: list[tuple[float, Delivery]] = []
    if "start" in prediction.webhook_events:
        planned.append((prediction.starts_at, Delivery(prediction, "start", prediction.starts_at, habits)))
    if "logs" in prediction.webhook_events:
        step = max(LEAST_INTERVAL_S, prediction.duration_s / 4)
        moments = [prediction.starts_at + step * n for n in range(1, math.ceil(prediction.duration_s / step))]
        planned += [(at, Delivery(prediction, "logs", at, habits)) for at in moments]
    if habits.out_of_order:
        natural_end = prediction.starts_at + prediction.duration_s
        planned = [(natural_end + habits.late_s + OVERTAKEN_BY_S, delivery) for _, delivery in planned]
    return planned


def final_deliveries(prediction: Prediction, habits: Habits) -> list[tuple[float, Delivery]]:
    """The output and completed events of a prediction whose end is known."""
    end = prediction.ends_at()
    if math.isinf(end):
        return []
    planned: list[tuple[float, Delivery]] = []
    if "output" in prediction.webhook_events and prediction.phase(end).status == "succeeded":
        planned.append((end, Delivery(prediction, "output", end, habits)))
    if "completed" in prediction.webhook_events:
        planned.append((end + habits.late_s, Delivery(prediction, "completed", end, habits)))
    return planned
