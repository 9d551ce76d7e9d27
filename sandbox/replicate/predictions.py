"""A prediction, whose state at any moment follows from its recorded times; nothing runs to make it move on."""

import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sandbox.faults import Directions, make_fault, read_directions, read_words
from sandbox.json_text import Json
from sandbox.settings import Drawing

Status = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
WebhookEvent = Literal["start", "output", "logs", "completed"]
ALL_EVENTS: Final[tuple[WebhookEvent, ...]] = ("start", "output", "logs", "completed")
RETENTION_S: Final = 3600.0
"""Inputs, outputs, files and logs of API predictions are removed after an hour."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How a prediction is going to end unless it is canceled first.

    `portion` is the part of the running time after which it ends; infinite for one that never does.
    """

    outcome: Literal["succeeded", "failed", "aborted"] = "succeeded"
    error: str | None = None
    billed: bool = True
    portion: float = 1.0
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """The state of a prediction at one moment; times in seconds since the epoch."""

    status: Status
    started_at: float | None
    completed_at: float | None
    error: str | None

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.completed_at is not None


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """The pictures that a prediction makes; sizes in pixels.

    `enlarge_by` is set for models that scale up their input instead. `follows`: the picture has its input's size, or its
    input's shape with the plan's shorter side. The first `leading` pictures show what was seen in the input.
    `most_input_pixels`: what fits the model's memory.
    """

    width: int
    height: int
    output_format: Literal["png", "webp", "jpeg"]
    suffix: str
    count: int
    single: bool
    drawing: Drawing
    enlarge_by: float | None = None
    follows: Literal["", "size", "shape"] = ""
    leading: int = 0
    most_input_pixels: int | None = None

    @property
    def is_made_from_input(self) -> bool:
        """Whether the pictures cannot be told before the input picture was fetched."""
        return self.enlarge_by is not None or bool(self.follows)


@dataclass(slots=True)
class Prediction:
    """One accepted job. Only `canceled_at`, `work_done_at`, `work_error` and `references` change after its creation.

    `work_done_at` is None while input pictures are still to be fetched or full drawings to be painted.
    """

    id: str
    model: str
    version: str
    input: Json
    created_at: float
    queue_s: float
    duration_s: float
    plan: PicturePlan
    fate: Fate
    amount_usd: float
    usd_per_second: float = 0.0
    token_counts: tuple[int, int, int] | None = None
    deadline_at: float | None = None
    webhook: str | None = None
    webhook_events: tuple[WebhookEvent, ...] = ALL_EVENTS
    deployment: str | None = None
    fault_header: str = ""
    work_done_at: float | None = None
    work_error: str | None = None
    references: tuple[str, ...] = ()
    canceled_at: float | None = None
    directions: Directions = field(init=False)
    """What its prompt and the fault header of its create say to the sandbox."""

    def __post_init__(self) -> None:
        self.directions = read_directions(self.raw_prompt)
        name, params = read_words(self.fault_header)
        if name is not None:
            self.directions = replace(self.directions, faults=(*self.directions.faults, make_fault(name, params)))

    @property
    def raw_prompt(self) -> str:
        """The prompt as it was sent, markers included."""
        return str(self.input.get("prompt", ""))

    @property
    def seed(self) -> str:
        """What makes this job's pictures its own."""
        return str(self.input.get("seed") or self.id)

    @property
    def starts_at(self) -> float:
        """When it leaves the queue."""
        return self.created_at + self.queue_s

    def ends_at(self) -> float:
        """When it becomes final as far as is known now; infinite while that is open."""
        return self._end()[0]

    def phase(self, now: float) -> Phase:
        """Its state at this moment."""
        end, status = self._end()
        if now >= end:
            started = self.starts_at if self.starts_at <= end and status != "aborted" else None
            return Phase(status, started, end, self._error(status))
        if now >= self.starts_at:
            return Phase("processing", self.starts_at, None, None)
        return Phase("starting", None, None, None)

    def billed(self, now: float) -> bool | None:
        """Whether it costs money: canceled does, aborted does not, failures as their fate says; None while it runs."""
        phase = self.phase(now)
        if not phase.is_final:
            return None
        if phase.status == "canceled":
            return True
        return phase.status != "aborted" and self.work_error is None and self.fate.billed

    def amount(self, now: float) -> float:
        """What it costs in USD if it is billed: by the seconds that it has run, where its model bills those."""
        if not self.usd_per_second:
            return self.amount_usd
        phase = self.phase(now)
        if phase.started_at is None:
            return 0.0
        until = now if phase.completed_at is None else phase.completed_at
        return round(self.usd_per_second * (until - phase.started_at), 6)

    def expired(self, now: float) -> bool:
        """Whether its data has been removed."""
        return now >= self.ends_at() + RETENTION_S

    def progress(self, now: float) -> float:
        """The part of the work that is done, 0.0 to 1.0."""
        phase = self.phase(now)
        if phase.started_at is None:
            return 0.0
        if phase.status == "succeeded":
            return 1.0
        until = now if phase.completed_at is None else phase.completed_at
        return min(1.0, (until - phase.started_at) / self.duration_s) if self.duration_s > 0 else 1.0

    def _error(self, status: Status) -> str | None:
        return (self.work_error or self.fate.error) if status == "failed" else None

    def _end(self) -> tuple[float, Status]:
        """The earliest of its natural end, its deadline and its cancellation."""
        end, status = self._natural_end()
        if self.deadline_at is not None and self.deadline_at < end:
            end, status = self.deadline_at, "aborted" if self.deadline_at < self.starts_at else "canceled"
        if self.canceled_at is not None and self.canceled_at < end:
            end, status = self.canceled_at, "canceled"
        return end, status

    def _natural_end(self) -> tuple[float, Status]:
        if self.fate.outcome == "aborted":
            return self.starts_at, "aborted"
        if self.work_error is not None and self.work_done_at is not None:
            return max(self.starts_at, self.work_done_at), "failed"
        if math.isinf(self.fate.portion):
            return math.inf, self.fate.outcome
        planned = self.starts_at + self.duration_s * self.fate.portion
        if self.fate.outcome == "failed":
            return planned, "failed"
        return (math.inf if self.work_done_at is None else max(planned, self.work_done_at)), self.fate.outcome
