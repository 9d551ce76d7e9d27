"""One piece of news about a generation, as the API's event stream tells it."""

from dataclasses import dataclass
from typing import Any

FINAL = frozenset({"succeeded", "failed", "canceled", "needs_review"})


@dataclass(frozen=True)
class GenerationEvent:
    """`type` is `snapshot`, `generation.*` or `picture.*`; numbers grow by one, a snapshot has that of the last event."""

    seq: int
    type: str
    data: dict[str, Any]

    @property
    def status(self) -> str | None:
        """The generation's status, where this event tells one."""
        if self.type == "snapshot":
            return str(self.data["status"])
        noun, _, word = self.type.partition(".")
        return word if noun == "generation" and word != "cancel_requested" else None

    @property
    def is_final(self) -> bool:
        """Nothing comes after it."""
        return self.status in FINAL
