"""What the clients of the lab remember: each request, what they were told, and what they saw of it afterwards."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Json = dict[str, Any]


@dataclass(slots=True)
class Followed:
    """What one follower saw: the number it began behind, and the numbers of the events in the order in which they came."""

    after_seq: int = 0
    seqs: list[int] = field(default_factory=list)
    saw_end: bool = False


@dataclass(slots=True)
class Asked:
    """One request for pictures, posted to one path under one Idempotency-Key.

    `answer` is the first one that came back; `repeated` the one to the same request at the end of the run.
    """

    scenario: str
    key: str
    body: Json
    answer: Json | None = None
    repeated: Json | None = None
    canceled: bool = False
    session_deleted: bool = False
    erased: bool = False
    followed: list[Followed] = field(default_factory=list)
    path: str = "/v1/generations"

    @property
    def generation_id(self) -> UUID | None:
        """The generation that was promised."""
        return UUID(self.answer["id"]) if self.answer else None


@dataclass(slots=True)
class Memory:
    """All that the clients of a run remember. `strange`: answers that no client should ever get."""

    asked: list[Asked] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
