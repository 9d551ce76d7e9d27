"""A generation as clients see it, made from its row alone."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from api.alternatives import Alternative
from api.failure_help import FAILED, FailureHelp
from api.links import AssetLinks, FailureLinks, GenerationLinks
from contracts.frozen import Frozen
from contracts.pictures import Failure, PictureMade, UndoReport
from contracts.statuses import Kind, Status, Step
from contracts.wishes import Adjustment
from db.models import Generation
from errors import error_class


class PictureAnswer(Frozen):
    """A finished picture; sizes in pixels and bytes, its cost in USD."""

    step: Step
    asset_id: UUID
    links: AssetLinks
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    provider: str
    model: str
    cost_usd: Decimal
    adjustments: tuple[Adjustment, ...] = Field(
        default=(), description="Wishes that the model could not meet as they were, and what was done instead."
    )

    @classmethod
    def of(cls, made: PictureMade) -> Self:
        """A picture of a generation's result."""
        return cls(
            step=made.step,
            asset_id=made.asset.asset_id,
            links=AssetLinks.of(made.asset.asset_id),
            width=made.asset.width,
            height=made.asset.height,
            content_type=made.asset.content_type,
            size_bytes=made.asset.size_bytes,
            sha256=made.asset.sha256,
            provider=made.provider,
            model=made.model,
            cost_usd=made.cost_usd,
            adjustments=made.adjustments,
        )


class FailureAnswer(Frozen):
    """Why it did not succeed, and what to do about it."""

    code: str = Field(examples=["policy_refused"])
    title: str
    detail: str
    suggestion: str
    step: Step | None = None
    retryable: bool = Field(description="The same request may succeed later.")
    facts: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    links: FailureLinks | None = Field(default=None, description="What can be done next; empty while people decide.")
    suggested_prompt: str | None = Field(
        default=None, description="Other words for a refused prompt; only when the generation itself is read."
    )
    suggested_field: str | None = Field(default=None, description="Where they belong.", examples=["/prompt"])
    alternatives: tuple[Alternative, ...] = Field(
        default=(), description="Who else could make it; only when the generation itself is read."
    )

    @classmethod
    def of(cls, failure: Failure, *, links: FailureLinks | None = None, help_: FailureHelp | None = None) -> Self:
        """A failure in the words of the error tree."""
        known = error_class(failure.code)
        return cls(
            code=failure.code,
            title=known.title,
            detail=failure.detail,
            suggestion=known.suggestion,
            step=failure.step,
            retryable=known.retryable,
            facts=failure.facts,
            links=links,
            **(dict(help_) if help_ else {}),
        )


class GenerationAnswer(Frozen):
    """One accepted request, from acceptance to its end. Money in USD, progress 0..1."""

    id: UUID
    kind: Kind
    status: Status
    stage: str = Field(description="What it is doing, for people.", examples=["waiting for replicate"])
    progress: float = Field(ge=0, le=1)
    request: dict[str, Any] = Field(description="The request as it was accepted, with defaults filled in.")
    session_id: str | None
    user_id: str | None = None
    tags: tuple[str, ...]
    quote_max_usd: Decimal
    cost_usd: Decimal | None
    pictures: tuple[PictureAnswer, ...]
    error: FailureAnswer | None
    rollback: tuple[UndoReport, ...] = Field(description="What was taken back after a failure, and what could not be.")
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: GenerationLinks

    @classmethod
    def of(cls, row: Generation, help_: FailureHelp | None = None) -> Self:
        """A generation's row as an answer, with the help for a failure where its owner reads it."""
        made = [PictureMade.model_validate(picture) for picture in (row.result or {}).get("pictures", [])]
        return cls(
            id=row.id,
            kind=row.kind,
            status=row.status,
            stage=row.stage,
            progress=row.progress,
            request=row.request,
            session_id=row.session_id,
            user_id=row.user_id,
            tags=tuple(row.tags),
            quote_max_usd=row.quote_max_usd,
            cost_usd=row.cost_usd,
            pictures=tuple(PictureAnswer.of(picture) for picture in made),
            error=_failure(row, help_),
            rollback=tuple(UndoReport.model_validate(report) for report in row.rollback or ()),
            cancel_requested=row.cancel_requested_at is not None,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            links=GenerationLinks.of(row.id),
        )


def _failure(row: Generation, help_: FailureHelp | None) -> FailureAnswer | None:
    if row.error is None:
        return None
    links = FailureLinks.of(row.id) if row.status in FAILED else None
    return FailureAnswer.of(Failure.model_validate(row.error), links=links, help_=help_)


class GenerationPage(Frozen):
    """Generations, newest first; `next_cursor` leads to older ones."""

    items: tuple[GenerationAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")

    @classmethod
    def of(cls, rows: Sequence[Generation], next_cursor: str | None) -> Self:
        """A page of rows."""
        return cls(items=tuple(GenerationAnswer.of(row) for row in rows), next_cursor=next_cursor)
