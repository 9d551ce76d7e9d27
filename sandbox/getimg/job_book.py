"""Accepted requests: nobody can ask getimg for one again, but it does keep the bill and, for a day, the pictures."""

from dataclasses import dataclass
from typing import Final

from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.getimg.order import Order
from sandbox.record_log import RecordLog
from sandbox.synchronous_jobs import SynchronousJob, SynchronousJobs

KEPT_S: Final = 24 * 3600.0
"""How long a picture can be downloaded."""


@dataclass(slots=True, kw_only=True)
class Job(SynchronousJob):
    """One accepted request, whose picture can be downloaded."""

    output_format: str

    def deletes_at(self) -> float:
        """When its picture goes."""
        return self.accepted_at + KEPT_S


class JobBook(SynchronousJobs[Job]):
    """All accepted requests and their charges."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger, clock: SandboxClock) -> None:
        super().__init__(provider="getimg", kind="getimg_job", make=Job, log=log, ledger=ledger, clock=clock)

    def accept(self, order: Order, raw_prompt: str) -> Job:
        """Accept a request: from here on it is charged."""
        return self.accept_one(
            "gen",
            model=order.model,
            prompt=raw_prompt,
            size=f"{order.size[0]}x{order.size[1]}",
            output_format=order.output_format,
            amount_usd=order.usd,
        )
