"""Budgets: a tenant's own for its keys and itself, and an operator's for anybody."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from api import cursors
from api.dependencies import ActorDep, AdminDep, ServicesDep, TransactionDep
from api.problems import documented
from api.strict_json import StrictJsonRoute
from contracts.budgets import BudgetOf, Period
from contracts.frozen import Frozen
from contracts.reviews import NoteIfAny
from db import audit, budget_figures, budgets
from db.budget_figures import BudgetState
from db.keys import Caller
from errors import InvalidRequest, NotAnOperator

router = APIRouter(prefix="/v1/budgets", tags=["budgets"], route_class=StrictJsonRoute)

OPERATORS_ONLY = frozenset({BudgetOf.system, BudgetOf.provider})


class BudgetRequest(Frozen):
    """What may be spent at most. It takes the place of the budget that its setter had for the same owner, period and `hard`."""

    of: BudgetOf = Field(description="Whose money is counted; `provider` and `system` are for operators.")
    owner: Annotated[str, Field(max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        default="",
        description="A key's or tenant's id, or a provider's name. Empty: your tenant, or the whole system. Of keys that "
        "followed each other by rotation the first is counted, with all that came after it.",
    )
    period: Period = Field(description="A calendar day or month by UTC.")
    limit_usd: Annotated[Decimal, Field(ge=0, le=100_000, max_digits=12, decimal_places=6)]
    hard: bool = Field(default=True, description="Refuse what does not fit; false: only tell of 50, 80 and 100 %.")
    note: NoteIfAny = Field(default="", description="Why; it is kept in the audit log.")


class BudgetAnswer(Frozen):
    """A budget with the figures of its running period (USD)."""

    id: UUID
    of: BudgetOf
    owner: str = Field(description="Empty for the whole system; a key's `budget_key`.")
    set_by_operator: bool
    period: Period
    hard: bool
    limit_usd: Decimal
    held_usd: Decimal = Field(description="Promised for requests that have not ended.")
    spent_usd: Decimal
    left_usd: Decimal
    alerted_percent: int = Field(description="The highest share that was told of in this period.")
    resets_at: datetime
    created_at: datetime

    @classmethod
    def of_state(cls, state: BudgetState) -> Self:
        """A budget as an answer."""
        row = state.budget
        return cls(
            **row.model_dump(include={"id", "of", "owner", "period", "hard", "limit_usd", "created_at"}),
            set_by_operator=row.tenant_id is None,
            held_usd=state.held_usd,
            spent_usd=state.spent_usd,
            left_usd=state.left_usd,
            alerted_percent=state.alerted,
            resets_at=state.resets_at,
        )


class BudgetPage(Frozen):
    """Budgets, oldest first; `next_cursor` leads to newer ones."""

    items: tuple[BudgetAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class BudgetQuery(Frozen):
    """Which page."""

    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get("", summary="List budgets, with what is left", responses=documented(401, 403, 422, 429, 503))
async def page(
    admin: AdminDep, session: TransactionDep, response: Response, query: Annotated[BudgetQuery, Query()]
) -> BudgetPage:
    """The budgets that your tenant set; for operators, those of everybody. Those set by operators are not shown to tenants."""
    after = cursors.decode(query.cursor) if query.cursor else None
    states = await budget_figures.page(session, _whose(admin), after=after, limit=query.limit + 1)
    shown = states[: query.limit]
    cursor = cursors.encode(shown[-1].budget.id) if len(states) > query.limit else None
    if cursor:
        given: dict[str, Any] = {"limit": query.limit, "cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}?{urlencode(given)}>; rel="next"'
    return BudgetPage(items=tuple(BudgetAnswer.of_state(state) for state in shown), next_cursor=cursor)


@router.post(
    "",
    summary="Set a budget",
    status_code=201,
    responses=documented(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
async def set_budget(services: ServicesDep, admin: AdminDep, actor: ActorDep, wanted: BudgetRequest) -> BudgetAnswer:
    """Set what may be spent from now on; what the running period has promised and spent already counts.

    Budgets set by operators hold besides, and are neither listed nor changed by this.
    """
    new = budgets.NewBudget(
        of=wanted.of,
        owner=_owner(services, admin, wanted),
        period=wanted.period,
        limit_usd=wanted.limit_usd,
        hard=wanted.hard,
        tenant_id=_whose(admin),
    )
    async with services.database.transaction("budget.set") as session:
        state = await budgets.set_(session, new)
        facts = wanted.model_dump(mode="json", exclude={"note"}) | {"owner": state.budget.owner}
        subject = ("budget", str(state.budget.id))
        await audit.record(session, actor, "budget.set", *subject, tenant_id=new.tenant_id, note=wanted.note, **facts)
    return BudgetAnswer.of_state(state)


@router.delete(
    "/{budget_id}", summary="Remove a budget", status_code=204, responses=documented(401, 403, 404, 422, 429, 503)
)
async def remove(services: ServicesDep, admin: AdminDep, actor: ActorDep, budget_id: UUID) -> None:
    """End a budget: nothing is counted or refused by it any more. Its figures stay on record."""
    async with services.database.transaction("budget.removed") as session:
        removed = await budgets.remove(session, budget_id, tenant_id=_whose(admin))
        facts: dict[str, Any] = removed.model_dump(mode="json", include={"of", "owner", "period", "limit_usd", "hard"})
        await audit.record(
            session, actor, "budget.removed", "budget", str(budget_id), tenant_id=removed.tenant_id, **facts
        )


def _whose(admin: Caller) -> UUID | None:
    """Whose budgets they are; None: an operator's are the service's, and an operator sees all."""
    return None if admin.operator else admin.tenant_id


def _owner(services: ServicesDep, admin: Caller, wanted: BudgetRequest) -> str:
    """Raises NotAnOperator, InvalidRequest, NotFound: there is no such provider."""
    if wanted.of in OPERATORS_ONLY and not admin.operator:
        raise NotAnOperator
    if wanted.of is BudgetOf.tenant:
        return wanted.owner or str(admin.tenant_id)
    if (wanted.of is BudgetOf.system) != (not wanted.owner):
        raise InvalidRequest("A system budget has no owner, and that of a key or provider needs one.", field="owner")
    if wanted.of is BudgetOf.provider:
        services.providers.check(wanted.owner, "")
    return wanted.owner
