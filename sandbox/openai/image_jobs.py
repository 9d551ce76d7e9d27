"""Accepted image requests: OpenAI keeps no job that a client could ask for, but it does keep the bill."""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sandbox.charges import Charge, ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.json_text import Json
from sandbox.openai.image_request import ImageRequest
from sandbox.record_log import RecordLog


@dataclass(slots=True)
class ImageJob:
    """One accepted request. It is paid for unless it fails through the provider's own fault."""

    id: str
    model: str
    prompt: str
    size: str
    accepted_at: float
    outcome: str = "running"
    free: bool = False

    def billed(self, _now: float) -> bool | None:
        """Whether it costs money. A client that went away does not change that."""
        return not self.free

    def as_json(self) -> Json:
        """The job for the admin's eyes."""
        return {
            "id": self.id,
            "provider": "openai",
            "model": self.model,
            "status": self.outcome,
            "prompt": self.prompt,
            "size": self.size,
            "created_at": self.accepted_at,
        }


class ImageJobs:
    """All accepted requests and their charges, rebuilt from the log after a restart."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger, clock: SandboxClock) -> None:
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._jobs: dict[str, ImageJob] = {}
        log.subscribe("image", self._enter)
        log.subscribe("image_ended", self._replay_ended)

    def accept(self, request: ImageRequest, amount_usd: float, correlation: str | None) -> ImageJob:
        """Accept a request: from here on it is charged."""
        record = {
            "id": f"img_{secrets.token_hex(12)}",
            "model": request.model.id,
            "prompt": request.prompt,
            "size": request.size,
            "accepted_at": self._clock.now(),
            "amount_usd": amount_usd,
            "correlation": correlation,
        }
        self._log.append("image", record)
        return self._enter(record)

    def end(self, job: ImageJob, outcome: str, *, free: bool = False) -> None:
        """Note how it ended; `free` takes its charge back."""
        job.outcome, job.free = outcome, free
        self._log.append("image_ended", {"id": job.id, "outcome": outcome, "free": free})

    def all(self) -> list[ImageJob]:
        """Every job, oldest first."""
        return list(self._jobs.values())

    def erase(self) -> None:
        """Forget every job."""
        self._jobs.clear()

    def _enter(self, record: Json) -> ImageJob:
        job = ImageJob(record["id"], record["model"], record["prompt"], record["size"], record["accepted_at"])
        self._jobs[job.id] = job
        self._ledger.enter(
            Charge(
                job_id=job.id,
                provider="openai",
                model=job.model,
                prompt_sha256=sha256(job.prompt.encode()).hexdigest(),
                user_id=record["correlation"],
                webhook=None,
                amount_usd=record["amount_usd"],
                accepted_at=job.accepted_at,
                verdict=job,
            )
        )
        return job

    def _replay_ended(self, record: Json) -> None:
        job = self._jobs[record["id"]]
        job.outcome, job.free = record["outcome"], record["free"]
