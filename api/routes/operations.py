"""What the reconciler found, and a round of it on demand: for operators."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from api import cursors
from api.dependencies import ActorDep, OperatorDep, ServicesDep, TransactionDep
from api.problems import documented
from api.strict_json import StrictJsonRoute
from contracts.frozen import Frozen
from contracts.names import MAIN_QUEUE, WORKFLOW_RECONCILE
from contracts.reconciliation import FindingItem, ReconcileOrder, ReconcileReport
from db import findings
from db.audit import record
from db.operation_models import Finding
from engine.schedules import LONGEST_ROUND
from engine.starts import RPC_TIMEOUT
from errors import EngineUnavailable, ReconciliationUnfinished

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=StrictJsonRoute)

# A whole round takes seconds, and a minute or two with a million pictures; an answer cannot be held for ever.
LONGEST_WAIT_S = 120.0


class FindingAnswer(FindingItem):
    """A finding as it was written down."""

    id: UUID
    created_at: datetime

    @classmethod
    def of(cls, row: Finding) -> Self:
        """A row as an answer."""
        return cls.model_validate(row.model_dump())


class FindingPage(Frozen):
    """Findings, newest first."""

    items: tuple[FindingAnswer, ...]
    next_cursor: str | None


class FindingQuery(Frozen):
    """Which findings to list."""

    kind: Annotated[str, Field(max_length=50, examples=["workflow_gone"])] | None = None
    generation: UUID | None = None
    cursor: Annotated[str, Field(max_length=100)] | None = None
    limit: int = Field(default=20, ge=1, le=100)


class ReconciliationRequest(Frozen):
    """How the round is to be done."""

    dry_run: bool = Field(
        default=False, strict=True, description="Only look: nothing is changed, and nothing written down."
    )


class ReconciliationAnswer(Frozen):
    """What a whole round found."""

    dry_run: bool
    counts: dict[str, int] = Field(description="Findings by kind.", examples=[{"workflow_gone": 1}])
    items: tuple[FindingItem, ...] = Field(description="At most 500 of them, and 100 of a look.")
    skipped: dict[str, str] = Field(description="Checks that could not be done, with the code of what was away.")


@router.get("/findings", summary="List what the reconciler found", responses=documented(401, 403, 422, 503))
async def page(
    _operator: OperatorDep, session: TransactionDep, response: Response, query: Annotated[FindingQuery, Query()]
) -> FindingPage:
    """List the reconciler's findings, newest first. They are kept for 90 days."""
    rows = await findings.page(
        session,
        kind=query.kind,
        generation_id=query.generation,
        before=cursors.decode(query.cursor) if query.cursor else None,
        limit=query.limit + 1,
    )
    cursor = cursors.encode(rows[query.limit - 1].id) if len(rows) > query.limit else None
    if cursor:
        given: dict[str, Any] = query.model_dump(mode="json", exclude_none=True) | {"cursor": cursor}
        response.headers["Link"] = f'<{router.prefix}/findings?{urlencode(given)}>; rel="next"'
    return FindingPage(items=tuple(FindingAnswer.of(row) for row in rows[: query.limit]), next_cursor=cursor)


@router.post(
    "/reconciliations",
    summary="Run a whole round of the reconciler",
    responses=documented(400, 401, 403, 413, 415, 422, 503, 504),
)
async def reconcile(
    services: ServicesDep, _operator: OperatorDep, actor: ActorDep, request: ReconciliationRequest
) -> ReconciliationAnswer:
    """Look for everything that went astray, over the whole bucket, and mend it. Harmless beside the scheduled rounds."""
    async with services.database.transaction("reconciliation.ordered") as session:
        await record(session, actor, "reconciliation.ordered", "service", dry_run=request.dry_run)
    order = ReconcileOrder(dry_run=request.dry_run, whole=True)
    try:
        async with asyncio.timeout(LONGEST_WAIT_S):
            report = await _run(services.engine, order)
    except TimeoutError:
        raise ReconciliationUnfinished from None
    except (RPCError, RuntimeError, OSError) as error:  # a lazy client that cannot connect raises RuntimeError
        raise EngineUnavailable from error
    return ReconciliationAnswer(
        dry_run=request.dry_run, counts=report.counts, items=report.items, skipped=report.skipped
    )


async def _run(engine: Client, order: ReconcileOrder) -> ReconcileReport:
    handle = await engine.start_workflow(
        WORKFLOW_RECONCILE,
        order,
        id=f"reconcile/{uuid4()}",
        task_queue=MAIN_QUEUE,
        static_summary="a whole round, asked for by an operator",
        result_type=ReconcileReport,
        execution_timeout=LONGEST_ROUND,
        rpc_timeout=RPC_TIMEOUT,
    )
    try:
        report: ReconcileReport = await handle.result()
    except WorkflowFailureError:  # terminated by people, or out of time: its checks themselves never fail it
        raise ReconciliationUnfinished from None
    return report
