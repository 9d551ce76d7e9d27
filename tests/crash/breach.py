"""A promise that was broken."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Breach:
    """One line that says what is wrong, and with which generation, if with one."""

    what: str
    generation_id: UUID | None = None
