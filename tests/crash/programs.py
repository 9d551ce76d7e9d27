"""What the lab does with the programs of a stack, whoever runs them."""

from pathlib import Path
from typing import Protocol


class Programs(Protocol):
    """A stack's programs by name."""

    root: Path

    @property
    def names(self) -> tuple[str, ...]:
        """All that are to be up."""

    def pid(self, name: str) -> int | None:
        """The process id of a program while it runs."""

    async def start_service(self, name: str) -> None:
        """Start one that is down. Raises StackError."""

    def environment(self) -> dict[str, str]:
        """The DIORAMA_* variables that the API and the worker are started with."""
