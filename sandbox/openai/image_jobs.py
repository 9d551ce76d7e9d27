"""Accepted image requests: OpenAI keeps no job that a client could ask for, but it does keep the bill."""

from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.openai.image_request import ImageRequest
from sandbox.record_log import RecordLog
from sandbox.synchronous_jobs import SynchronousJob, SynchronousJobs


class ImageJobs(SynchronousJobs[SynchronousJob]):
    """All accepted requests and their charges."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger, clock: SandboxClock) -> None:
        super().__init__(provider="openai", kind="image", make=SynchronousJob, log=log, ledger=ledger, clock=clock)

    def accept(self, request: ImageRequest, amount_usd: float, correlation: str | None) -> SynchronousJob:
        """Accept a request: from here on it is charged."""
        return self.accept_one(
            "img",
            model=request.model.id,
            prompt=request.prompt,
            size=request.size,
            amount_usd=amount_usd,
            correlation=correlation,
        )
