"""The bill: one row for each paid job that a provider accepted."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sandbox.json_text import Json


class Verdict(Protocol):
    """A job that knows whether it is paid for."""

    def billed(self, now: float) -> bool | None:
        """Whether the job costs money; None while it has not ended."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one accepted job costs, in USD, and what a client may recognise it by.

    `metered` is set for jobs that are billed by the time that they run: their cost at a moment.
    """

    job_id: str
    provider: str
    model: str
    prompt_sha256: str
    user_id: str | None
    webhook: str | None
    amount_usd: float
    accepted_at: float
    verdict: Verdict
    metered: Callable[[float], float] | None = None

    def usd(self, now: float) -> float:
        """What it costs as far as is known at this moment."""
        return self.amount_usd if self.metered is None else self.metered(now)

    @property
    def correlation(self) -> str | None:
        """What names the client's intent: its user id, or else the webhook address with its token."""
        return self.user_id or self.webhook

    def row(self, now: float) -> Json:
        """The row as JSON. `billed` is null while the job runs."""
        return {
            "job_id": self.job_id,
            "provider": self.provider,
            "model": self.model,
            "prompt_sha256": self.prompt_sha256,
            "user_id": self.user_id,
            "webhook": self.webhook,
            "correlation": self.correlation,
            "amount_usd": self.usd(now),
            "accepted_at": self.accepted_at,
            "billed": self.verdict.billed(now),
        }


class ChargeLedger:
    """All charges in the order of acceptance. It is rebuilt from the jobs' own records after a restart."""

    def __init__(self) -> None:
        self._charges: list[Charge] = []

    def enter(self, charge: Charge) -> None:
        """Add the charge of a job that was just accepted."""
        self._charges.append(charge)

    def rows(self, now: float) -> Iterator[Json]:
        """Every row, oldest first."""
        return (charge.row(now) for charge in self._charges)

    def erase(self) -> None:
        """Forget every charge."""
        self._charges.clear()

    def summary(self, provider: str, now: float) -> Json:
        """Counts and sums of one provider.

        `max_charges_per_correlation` above 1 means that something was bought twice: it counts the charges which are billed
        or still may be.
        """
        owed: Counter[str] = Counter()
        billed = open_ = 0
        total = 0.0
        for charge in self._charges:
            if charge.provider != provider:
                continue
            verdict = charge.verdict.billed(now)
            if verdict is False:
                continue
            billed += verdict is True
            open_ += verdict is None
            total += charge.usd(now) if verdict else 0.0
            if charge.correlation:
                owed[charge.correlation] += 1
        return {
            "charges": sum(charge.provider == provider for charge in self._charges),
            "billed": billed,
            "open": open_,
            "total_usd": round(total, 6),
            "correlations": len(owed),
            "max_charges_per_correlation": max(owed.values(), default=0),
        }
