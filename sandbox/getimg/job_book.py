"""Accepted requests: nobody can ask getimg for one again, but it does keep the bill and, for a day, the pictures."""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sandbox.charges import Charge, ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.getimg.order import Order
from sandbox.json_text import Json
from sandbox.record_log import RecordLog

KEPT_S = 24 * 3600.0
"""How long a picture can be downloaded."""


@dataclass(slots=True)
class Job:
    """One accepted request. It is paid for unless it fails through the provider's own fault, or its policy."""

    id: str
    model: str
    prompt: str
    width: int
    height: int
    output_format: str
    accepted_at: float
    amount_usd: float
    outcome: str = "running"
    free: bool = False

    def billed(self, _now: float) -> bool | None:
        """Whether it costs money. A client that went away does not change that."""
        return not self.free

    def deletes_at(self) -> float:
        """When its picture goes."""
        return self.accepted_at + KEPT_S

    def as_json(self) -> Json:
        """The job for the admin's eyes."""
        return {
            "id": self.id,
            "provider": "getimg",
            "model": self.model,
            "status": self.outcome,
            "prompt": self.prompt,
            "size": f"{self.width}x{self.height}",
            "created_at": self.accepted_at,
        }


class JobBook:
    """All accepted requests and their charges, rebuilt from the log after a restart."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger, clock: SandboxClock) -> None:
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        log.subscribe("getimg_job", self._enter)
        log.subscribe("getimg_job_ended", self._replay_ended)

    def accept(self, order: Order, raw_prompt: str) -> Job:
        """Accept a request: from here on it is charged."""
        record = {
            "id": f"gen_{secrets.token_hex(12)}",
            "model": order.model,
            "prompt": raw_prompt,
            "width": order.size[0],
            "height": order.size[1],
            "output_format": order.output_format,
            "accepted_at": self._clock.now(),
            "amount_usd": order.usd,
        }
        self._log.append("getimg_job", record)
        return self._enter(record)

    def end(self, job: Job, outcome: str, *, free: bool = False) -> None:
        """Note how it ended; `free` takes its charge back."""
        job.outcome, job.free = outcome, free
        self._log.append("getimg_job_ended", {"id": job.id, "outcome": outcome, "free": free})

    def get(self, job_id: str) -> Job | None:
        """The job of this id."""
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        return list(self._jobs.values())

    def erase(self) -> None:
        """Forget every job."""
        self._jobs.clear()

    def _enter(self, record: Json) -> Job:
        job = Job(**record)
        self._jobs[job.id] = job
        self._ledger.enter(
            Charge(
                job_id=job.id,
                provider="getimg",
                model=job.model,
                prompt_sha256=sha256(job.prompt.encode()).hexdigest(),
                user_id=None,  # it takes no mark of a client's
                webhook=None,
                amount_usd=job.amount_usd,
                accepted_at=job.accepted_at,
                verdict=job,
            )
        )
        return job

    def _replay_ended(self, record: Json) -> None:
        job = self._jobs[record["id"]]
        job.outcome, job.free = record["outcome"], record["free"]
