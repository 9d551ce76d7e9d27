"""A task, whose state at any moment follows from its recorded times; nothing runs to make it move on, and nothing stops it."""

import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sandbox.faults import Directions, make_fault, read_directions, read_words
from sandbox.json_text import Json
from sandbox.settings import Drawing

Status = Literal["created", "processing", "completed", "failed"]
OutputFormat = Literal["png", "webp", "jpeg"]
RETENTION_S: Final = 7 * 24 * 3600.0
"""Tasks and their files are kept for seven days."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How a task is going to end. `code` is WaveSpeed's own for failures; `portion` the part of the run after which it ends.

    `nsfw`: it completes, and its picture is flagged. Failures are refunded, everything else is paid for.
    """

    failed: bool = False
    code: int = 0
    error: str = ""
    nsfw: bool = False
    empty: bool = False
    portion: float = 1.0


@dataclass(slots=True)
class Task:
    """One accepted task. Only `work_done_at`, `work_error` and `references` change after its creation.

    `work_done_at` is None while input pictures are still to be fetched or drawings to be painted.
    """

    id: str
    model: str
    input: Json
    created_at: float
    queue_s: float
    duration_s: float
    width: int
    height: int
    count: int
    output_format: OutputFormat
    drawing: Drawing
    fate: Fate
    amount_usd: float
    enlarge_by: float | None = None
    webhook: str | None = None
    fault_header: str = ""
    work_done_at: float | None = None
    work_error: str | None = None
    references: tuple[str, ...] = ()
    directions: Directions = field(init=False)
    """What its prompt and the fault header of its create say to the sandbox."""

    def __post_init__(self) -> None:
        self.directions = read_directions(self.raw_prompt)
        name, params = read_words(self.fault_header)
        if name is not None:
            self.directions = replace(self.directions, faults=(*self.directions.faults, make_fault(name, params)))

    @property
    def raw_prompt(self) -> str:
        """The prompt as it was sent, markers included; empty for models that take none."""
        return str(self.input.get("prompt", ""))

    @property
    def seed(self) -> str:
        """What makes this task's pictures its own; -1 asks for any."""
        seed = self.input.get("seed", -1)
        return self.id if seed == -1 else str(seed)

    def ends_at(self) -> float:
        """When it becomes final as far as is known now; infinite while that is open."""
        if math.isinf(self.fate.portion):
            return math.inf
        planned = self.created_at + self.queue_s + self.duration_s * self.fate.portion
        if self.fate.failed:
            return planned
        return math.inf if self.work_done_at is None else max(planned, self.work_done_at)

    def status(self, now: float) -> Status:
        """Its state at this moment."""
        if now >= self.ends_at():
            return "failed" if self.fate.failed or self.work_error is not None else "completed"
        return "processing" if now >= self.created_at + self.queue_s else "created"

    def billed(self, now: float) -> bool | None:
        """Whether it costs money: a failure is refunded; None while it runs."""
        status = self.status(now)
        return status == "completed" if status in ("completed", "failed") else None

    def expired(self, now: float) -> bool:
        """Whether it has been removed."""
        return now >= self.created_at + RETENTION_S
