"""Telling clients that a model of theirs will be shut down: in the answer, and in the headers made for it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Literal, Self

from pydantic import Field

from contracts.frozen import Frozen
from providers.model_entry import WARNED_FOR, ModelEntry


class ModelWarning(Frozen):
    """A model that a request was planned with, and that its provider shuts down on the day in `shutdown`."""

    code: Literal["model_ends"] = "model_ends"
    provider: str
    model: str = Field(examples=["openai/gpt-image-1.5"])
    shutdown: date
    replaced_by: str | None = Field(examples=["openai/gpt-image-2.5-flare"])
    detail: str

    @classmethod
    def of(cls, entry: ModelEntry) -> Self:
        """The warning for a model that has a shutdown date; ValueError for another."""
        if entry.shutdown is None:
            raise ValueError(f"{entry.model} has no shutdown date")
        instead = f" Use {entry.replaced_by} instead." if entry.replaced_by else ""
        return cls(
            provider=entry.provider,
            model=entry.model,
            shutdown=entry.shutdown,
            replaced_by=entry.replaced_by,
            detail=f"{entry.model} is refused from {entry.shutdown} on, when its provider shuts it down.{instead}",
        )


def sunset_headers(accepted: Mapping[str, Any]) -> dict[str, str]:
    """`Deprecation` (RFC 9745) and `Sunset` (RFC 8594) for an accepted answer's earliest warning; empty without one."""
    days = [date.fromisoformat(warning["shutdown"]) for warning in accepted.get("warnings", ())]
    if not days:
        return {}
    end = datetime.combine(min(days), time(), UTC)
    return {
        "Deprecation": f"@{int((end - WARNED_FOR).timestamp())}",
        "Sunset": format_datetime(end, usegmt=True),
    }
