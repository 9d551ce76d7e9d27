"""A provider as clients see it."""

from typing import Self

from pydantic import Field

from api.standing_answers import HealthAnswer, LimitAnswer, QueueAnswer
from contracts.frozen import Frozen
from contracts.statuses import Billed
from providers.model_entry import ProviderEntry


class ProviderAnswer(Frozen):
    """A vendor, with how it stands as a whole; each of its models stands for itself besides."""

    name: str
    title: str
    configured: bool = Field(description="Whether this installation has a key of it.")
    recoverable: bool = Field(description="Whether a purchase whose answer was lost can be found again.")
    synchronous: bool = Field(description="It answers with the picture itself: there is no job to be asked about.")
    canceled_billed: Billed
    failed_billed: Billed
    models: tuple[str, ...] = Field(description="In order of preference; GET /v1/models says more.")
    health: HealthAnswer
    queue: QueueAnswer
    limit: LimitAnswer

    @classmethod
    def of(
        cls,
        entry: ProviderEntry,
        *,
        configured: bool,
        models: tuple[str, ...],
        health: HealthAnswer,
        queue: QueueAnswer,
        limit: LimitAnswer,
    ) -> Self:
        """A row of the catalog, with how it stands."""
        return cls(
            name=entry.name,
            title=entry.title,
            configured=configured,
            recoverable=entry.recoverable,
            synchronous=entry.synchronous,
            canceled_billed=Billed(entry.canceled_billed),
            failed_billed=Billed(entry.failed_billed),
            models=models,
            health=health,
            queue=queue,
            limit=limit,
        )
