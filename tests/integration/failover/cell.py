"""One field of the matrix: a trouble of one provider, with another one behind it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.integration.failover.house import FAMILIES
from tests.integration.failover.troubles import DEADLINE_S, Fault


@dataclass(frozen=True)
class Cell:
    """`fault`: what the first does; `second_fault`: what the other does. `wishes`: what is asked for besides the words."""

    trouble: str
    first: str
    second: str
    fault: Fault | None = None
    second_fault: Fault | None = None
    family: str = "usual"
    deadline_s: int = DEADLINE_S
    wishes: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.trouble} at {self.first} before {self.second}"

    @property
    def faults(self) -> list[tuple[str, Fault]]:
        """Who is troubled, and how."""
        both = ((self.first, self.fault), (self.second, self.second_fault))
        return [(name, fault) for name, fault in both if fault is not None]

    @property
    def mark(self) -> str:
        """By which the sandbox knows whom to trouble; no other cell's words hold it."""
        return f"<{self}>"

    @property
    def prompt(self) -> str:
        """Words that nobody else has."""
        return f"a lighthouse made of glass {self.mark}"

    @property
    def prompt_sha256(self) -> str:
        """How the sandbox's bills name the words."""
        return sha256(self.prompt.encode()).hexdigest()

    @property
    def request(self) -> dict[str, Any]:
        """What the client asks for: the first one's model, and the second may make it, too."""
        named = {"model": FAMILIES[self.family][self.first], "providers": [self.first, self.second]}
        return {"prompt": self.prompt, "deadline_s": self.deadline_s, **named, **dict(self.wishes)}
