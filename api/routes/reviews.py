"""Reviews: what operators decide about purchases whose outcome nobody knows, and the log of it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from api import cursors
from api.dependencies import ActorDep, OperatorDep, ServicesDep, TransactionDep
from api.problems import documented
from api.reviewing import Reviewer
from api.strict_json import StrictJsonRoute
from contracts.frozen import Frozen
from contracts.reviews import Decision, ReviewAction
from contracts.statuses import Status, Step
from db import reviews
from db.columns import now
from db.operation_models import OperatorAction

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=StrictJsonRoute)


class ReviewAnswer(Frozen):
    """A purchase that waits for a decision. Money in USD; the prompt itself is not shown."""

    spend_id: UUID
    generation_id: UUID
    tenant_id: UUID
    step: Step
    purchase: int = Field(description="Counts the purchases of the step from 0.")
    provider: str
    model: str
    prompt_hash: str
    hold_usd: Decimal = Field(description="What is held for it, and stays held until a decision.")
    likely_usd: Decimal | None = Field(description="The catalog's price.")
    sent_at: datetime | None
    age_s: int = Field(description="Seconds since it was sent.")
    error_code: str | None = Field(examples=["outcome_unknown"])
    denied_job_id: str | None = Field(description="A job that was taken for its own, and that the provider denies.")
    possible_duplicate: bool
    job_ids: tuple[str, ...] = Field(description="Jobs that webhooks of the provider named for it.")
    actions: tuple[ReviewAction, ...] = Field(description="What can be decided.")

    @classmethod
    def of(cls, review: reviews.Review, reviewer: Reviewer) -> Self:
        """A purchase's row, seen by an operator."""
        spend = review.spend
        shown = {name: getattr(spend, name) for name in cls.model_fields.keys() & set(type(spend).model_fields)}
        refused = set() if reviewer.may_adopt(spend) else {ReviewAction.adopt}
        return cls(
            **shown,
            spend_id=spend.id,
            age_s=int((now() - (spend.sent_at or spend.created_at)).total_seconds()),
            denied_job_id=(spend.error_facts or {}).get("job_id"),
            job_ids=review.job_ids,
            actions=tuple(action for action in ReviewAction if action not in refused),
        )


class ReviewPage(Frozen):
    """Purchases that wait, the oldest first; `next_cursor` leads to younger ones."""

    items: tuple[ReviewAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class DecisionAnswer(Frozen):
    """What a decision led to: when nothing of it is undecided, the generation goes on."""

    action_id: UUID
    spend_id: UUID
    generation_id: UUID
    status: Status = Field(description="The generation's status now.")
    undecided: int = Field(description="Purchases of this generation that still wait.")


class ActionAnswer(Frozen):
    """One entry of the audit log."""

    id: UUID
    key_id: str = Field(description="The API key that decided.")
    action: str
    generation_id: UUID | None
    spend_id: UUID | None
    note: str
    facts: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: OperatorAction) -> Self:
        """A row of the log."""
        return cls(**row.model_dump())


class ActionPage(Frozen):
    """The audit log, newest first; `next_cursor` leads to older entries."""

    items: tuple[ActionAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class PageQuery(Frozen):
    """Which page."""

    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)

    @property
    def position(self) -> UUID | None:
        """The last id of the page before."""
        return cursors.decode(self.cursor) if self.cursor else None

    def next_cursor(self, path: str, ids: Sequence[UUID], response: Response) -> str | None:
        """The cursor of the next page, if there is one; it goes into the `Link` header, too."""
        if len(ids) <= self.limit:
            return None
        cursor = cursors.encode(ids[self.limit - 1])
        response.headers["Link"] = f'<{path}?limit={self.limit}&cursor={cursor}>; rel="next"'
        return cursor


@router.get("/reviews", summary="List the purchases that wait for a decision", responses=documented(401, 403, 422, 503))
async def waiting(
    services: ServicesDep,
    _operator: OperatorDep,
    session: TransactionDep,
    response: Response,
    query: Annotated[PageQuery, Query()],
) -> ReviewPage:
    """Purchases of generations in `needs_review`, over all tenants, the oldest first."""
    found = await reviews.waiting(session, after=query.position, limit=query.limit + 1)
    cursor = query.next_cursor(f"{router.prefix}/reviews", [one.spend.id for one in found], response)
    shown = [ReviewAnswer.of(one, services.reviewer) for one in found[: query.limit]]
    return ReviewPage(items=tuple(shown), next_cursor=cursor)


@router.post(
    "/reviews/{spend_id}",
    summary="Decide about a purchase",
    responses=documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def decide(
    services: ServicesDep, operator: OperatorDep, actor: ActorDep, spend_id: UUID, decision: Decision
) -> DecisionAnswer:
    """Decide. Sending the same decision again is harmless; of two that differ, the first one counts.

    `adopt` takes a job of the provider for the purchase's own: the provider is asked about it, and when it denies the job, the
    purchase is in review again. `accept_lost` ends the generation as failed. `resubmit` buys the picture once more, if there
    is room for it in what was promised and at the provider (else 409).
    """
    decided = await services.reviewer.decide(actor, operator.key_id, spend_id, decision)
    return DecisionAnswer(
        action_id=decided.action.id,
        spend_id=spend_id,
        generation_id=decided.generation.id,
        status=decided.generation.status,
        undecided=decided.undecided,
    )


@router.get("/actions", summary="Read the log of what operators did", responses=documented(401, 403, 422, 503))
async def actions(
    _operator: OperatorDep, session: TransactionDep, response: Response, query: Annotated[PageQuery, Query()]
) -> ActionPage:
    """The audit log, newest first."""
    found = await reviews.actions(session, before=query.position, limit=query.limit + 1)
    cursor = query.next_cursor(f"{router.prefix}/actions", [one.id for one in found], response)
    return ActionPage(items=tuple(ActionAnswer.of(one) for one in found[: query.limit]), next_cursor=cursor)
