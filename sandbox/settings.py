"""What the sandbox is told at start, and what an admin may change while it runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Drawing = Literal["full", "fast"]


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. A limit of None means unlimited; a credential of None means that any will do."""

    port: int
    data_dir: Path
    public_url: str
    drawing: Drawing = "full"
    duration_s: float = 2.0
    queue_s: float = 0.1
    creates_per_minute: float | None = 600.0
    reads_per_minute: float | None = 3000.0
    replicate_token: str | None = None
    openai_key: str | None = None
    getimg_key: str | None = None
    wavespeed_key: str | None = None
    webhook_secret: str | None = None


@dataclass(slots=True)
class WebhookHabits:
    """How badly webhooks behave: sent twice, late, in the wrong order, or not at all."""

    duplicate: bool = False
    late_s: float = 0.0
    out_of_order: bool = False
    drop: bool = False


@dataclass(slots=True)
class Settings:
    """What can be changed at run time. New values hold for new jobs; they are not remembered over a restart."""

    drawing: Drawing
    duration_s: float
    queue_s: float
    creates_per_minute: float | None
    reads_per_minute: float | None
    low_credit: bool = False
    sync_data_uris: bool = True
    webhooks: WebhookHabits = field(default_factory=WebhookHabits)

    @classmethod
    def of(cls, options: Options) -> "Settings":
        """The settings that a process with these options starts with."""
        return cls(
            drawing=options.drawing,
            duration_s=options.duration_s,
            queue_s=options.queue_s,
            creates_per_minute=options.creates_per_minute,
            reads_per_minute=options.reads_per_minute,
        )
