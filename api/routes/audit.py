"""The audit log: who decided what, when, and from where. A tenant's admin keys read what is their tenant's matter."""

from datetime import datetime
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api import cursors
from api.dependencies import AdminDep, TransactionDep
from api.key_answers import Moment
from api.problems import documented
from contracts.frozen import Frozen
from db import audit, tenant_keys
from db.keys import Caller
from db.protection_models import AuditEntry
from errors import NotFound

router = APIRouter(prefix="/v1/audit", tags=["audit"])

OPERATOR = "operator"

# What a database takes and a person can read.
Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class AuditAnswer(Frozen):
    """A decision."""

    id: UUID
    tenant_id: UUID | None = Field(description="Whose matter it is; null: the service's.")
    actor: str = Field(
        description="`key:<id>`, `command` (on a server), `service`, or for tenants `operator`.",
        examples=["key:4f1d0c2b9a7e"],
    )
    address: str | None = Field(description="Where the request came from; tenants do not see the operators'.")
    request_id: str | None
    action: str = Field(examples=["key.rotated"])
    subject: str = Field(examples=["key"])
    subject_id: str
    note: str
    facts: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: AuditEntry) -> Self:
        """An entry as operators see it."""
        return cls(**row.model_dump())

    @classmethod
    def to_tenant(cls, row: AuditEntry, own: frozenset[str]) -> Self:
        """An entry as a tenant sees it: which person decided for the service is the service's own matter."""
        if row.actor in own:
            return cls.of(row)
        return cls(**row.model_dump() | {"actor": OPERATOR, "address": None, "request_id": None})


class AuditPage(Frozen):
    """Decisions, newest first; `next_cursor` leads to older ones."""

    items: tuple[AuditAnswer, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class AuditQuery(Frozen):
    """Which decisions to list."""

    tenant: UUID | None = Field(default=None, description="For operators; others see their own tenant's.")
    actor: Word | None = Field(default=None, description="As it is shown to you; `operator` for all but your own keys.")
    action: Word | None = None
    subject: Word | None = None
    subject_id: Word | None = None
    created_after: Moment | None = Field(default=None, description="With time zone; inclusive.")
    created_before: Moment | None = Field(default=None, description="With time zone; exclusive.")
    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


@router.get("", summary="List decisions", responses=documented(401, 404, 422, 503))
async def page(
    caller: AdminDep, session: TransactionDep, response: Response, query: Annotated[AuditQuery, Query()]
) -> AuditPage:
    """Decisions about tenants, keys, money and the service, newest first. Nobody can change or delete them."""
    wanted = _filter(caller, query)
    if await _asks_who_it_was(session, caller, query.actor):
        return AuditPage(items=(), next_cursor=None)
    rows = await audit.page(session, wanted, limit=query.limit + 1)
    cursor = cursors.encode(rows[query.limit - 1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = query.model_dump(mode="json", exclude_none=True) | {"cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}?{urlencode(given)}>; rel="next"'
    shown = rows[: query.limit]
    if caller.operator:
        return AuditPage(items=tuple(AuditAnswer.of(row) for row in shown), next_cursor=cursor)
    named = {row.actor for row in shown}
    own = await tenant_keys.actors_of(session, caller.tenant_id, named)
    return AuditPage(items=tuple(AuditAnswer.to_tenant(row, own) for row in shown), next_cursor=cursor)


async def _asks_who_it_was(session: AsyncSession, caller: Caller, actor: str | None) -> bool:
    """Whether a tenant asks for what somebody decided who is just `operator` to it: that is not told by a filter either."""
    if caller.operator or actor in {None, OPERATOR}:
        return False
    return not await tenant_keys.actors_of(session, caller.tenant_id, {str(actor)})


def _filter(caller: Caller, query: AuditQuery) -> audit.Filter:
    """Raises NotFound for another's tenant, whether there is one or not."""
    if not caller.operator and query.tenant not in {None, caller.tenant_id}:
        raise NotFound("There is no such tenant.")
    by_others = not caller.operator and query.actor == OPERATOR
    return audit.Filter(
        tenant_id=query.tenant if caller.operator else caller.tenant_id,
        actor=None if by_others else query.actor,
        not_by_keys_of=caller.tenant_id if by_others else None,
        action=query.action,
        subject=query.subject,
        subject_id=query.subject_id,
        created_after=query.created_after,
        created_before=query.created_before,
        before=cursors.decode(query.cursor) if query.cursor else None,
    )
