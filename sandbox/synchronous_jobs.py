"""Accepted requests of providers that answer with the picture: no client can ask for one again, but the bill is kept."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from sandbox.charges import Charge, ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.json_text import Json
from sandbox.record_log import RecordLog


@dataclass(slots=True, kw_only=True)
class SynchronousJob:
    """One accepted request. It is paid for unless it fails through the provider's own fault, or its policy."""

    id: str
    model: str
    prompt: str
    size: str
    accepted_at: float
    amount_usd: float
    correlation: str | None = None  # a mark of the client's, where the provider takes one
    outcome: str = "running"
    free: bool = False

    def billed(self, _now: float) -> bool | None:
        """Whether it costs money. A client that went away does not change that."""
        return not self.free


Job = TypeVar("Job", bound=SynchronousJob)


class SynchronousJobs(Generic[Job]):
    """All accepted requests of a provider and their charges, rebuilt from the log after a restart.

    `kind`: the name of its records in the log; `make`: a job from the fields of a record.
    """

    def __init__(
        self,
        *,
        provider: str,
        kind: str,
        make: Callable[..., Job],
        log: RecordLog,
        ledger: ChargeLedger,
        clock: SandboxClock,
    ) -> None:
        self._provider = provider
        self._kind = kind
        self._make = make
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        log.subscribe(kind, self._enter)
        log.subscribe(f"{kind}_ended", self._replay_ended)

    def accept_one(self, id_begins: str, **fields: str | float | None) -> Job:
        """Accept a request: from here on it is charged."""
        record = {"id": f"{id_begins}_{secrets.token_hex(12)}", "accepted_at": self._clock.now(), **fields}
        self._log.append(self._kind, record)
        return self._enter(record)

    def end(self, job: Job, outcome: str, *, free: bool = False) -> None:
        """Note how it ended; `free` takes its charge back."""
        job.outcome, job.free = outcome, free
        self._log.append(f"{self._kind}_ended", {"id": job.id, "outcome": outcome, "free": free})

    def get(self, job_id: str) -> Job | None:
        """The job of this id."""
        return self._jobs.get(job_id)

    def shown(self) -> list[Json]:
        """Every job, oldest first, for the admin's eyes."""
        return [
            {
                "id": job.id,
                "provider": self._provider,
                "model": job.model,
                "status": job.outcome,
                "prompt": job.prompt,
                "size": job.size,
                "created_at": job.accepted_at,
            }
            for job in self._jobs.values()
        ]

    def erase(self) -> None:
        """Forget every job."""
        self._jobs.clear()

    def _enter(self, record: Json) -> Job:
        job = self._make(**record)
        self._jobs[job.id] = job
        self._ledger.enter(
            Charge(
                job_id=job.id,
                provider=self._provider,
                model=job.model,
                prompt_sha256=sha256(job.prompt.encode()).hexdigest(),
                user_id=job.correlation,
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
