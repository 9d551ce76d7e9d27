"""Alerts of budgets: which shares were reached, and when."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from api import cursors
from api.dependencies import AdminDep, TransactionDep
from api.problems import documented
from contracts.frozen import Frozen
from db import budget_alerts
from db.money_models import BudgetAlert

router = APIRouter(prefix="/v1/budgets", tags=["budgets"])


class AlertAnswer(Frozen):
    """A share of a budget that was reached in one of its periods (USD)."""

    id: UUID
    budget_id: UUID
    begins_on: date = Field(description="The first day of the period, by UTC.")
    percent: int = Field(examples=[80])
    used_usd: Decimal = Field(description="What was promised and spent in that moment.")
    created_at: datetime
    told_at: datetime | None = Field(description="When it was handed to the webhooks; null for a moment.")

    @classmethod
    def of(cls, row: BudgetAlert) -> Self:
        """A row as an answer."""
        return cls(**row.model_dump(exclude={"tenant_id"}))


class AlertPage(Frozen):
    """Alerts, newest first; `next_cursor` leads to older ones."""

    items: tuple[AlertAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class AlertQuery(Frozen):
    """Which page."""

    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get(
    "/{budget_id}/alerts",
    summary="List the alerts of a budget, newest first",
    responses=documented(401, 404, 422, 503),
)
async def page(
    admin: AdminDep,
    session: TransactionDep,
    response: Response,
    budget_id: UUID,
    query: Annotated[AlertQuery, Query()],
) -> AlertPage:
    """Which shares of a budget were reached, each once in a period. Those of a removed budget are still there."""
    rows = await budget_alerts.page(
        session,
        budget_id,
        tenant_id=None if admin.operator else admin.tenant_id,
        before=cursors.decode(query.cursor) if query.cursor else None,
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    cursor = cursors.encode(shown[-1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = {"limit": query.limit, "cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}/{budget_id}/alerts?{urlencode(given)}>; rel="next"'
    return AlertPage(items=tuple(AlertAnswer.of(row) for row in shown), next_cursor=cursor)
