"""What the admin sees of a webhook: each delivery that was tried."""

from dataclasses import dataclass
from typing import Final

REMEMBERED: Final = 10_000
"""So many of the newest ones are kept."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that was tried. Status 0 is a transport error."""

    at: float
    prediction_id: str
    event: str
    webhook_id: str
    attempt: int
    status: int
