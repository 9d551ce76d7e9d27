"""A provider's bill beside our ledger: for operators."""

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from api.bill_desk import BillQuestion
from api.bill_file import KNOWN
from api.csv_answer import MEDIA_TYPE, Cell, csv_answer, wants_csv
from api.dependencies import ActorDep, OperatorDep, ServicesDep
from api.problems import documented
from api.services import Services
from api.strict_json import read_bounded
from contracts.bills import BillItem, BillReport
from contracts.frozen import Frozen
from contracts.requests import ProviderName
from db import audit
from db.audit import Actor
from errors import InvalidRequest

router = APIRouter(prefix="/v1/operations/bills", tags=["operations"])

# Some 200,000 jobs.
LONGEST_BILL: Final = 32 * 1024 * 1024
_BODY: Final = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}
_PAIR: Final = re.compile(rf"({'|'.join(KNOWN)})=([^\x00-\x1f]{{1,100}})")
Day = Annotated[date, Field(ge="2020-01-01", le="2200-01-01")]


class BillQuery(Frozen):
    """Whose bill it is, and how it is read."""

    provider: ProviderName
    columns: str = Field(
        default="",
        max_length=800,
        description="What columns are called, where not as usual: `id=Prediction,cost=Price`. Columns: "
        + ", ".join(KNOWN),
    )
    first: Day | None = Field(default=None, alias="from", description="Default: when its first job was made.")
    last: Day | None = Field(default=None, alias="to", description="Included. Default: when its last job was made.")
    format: Literal["json", "csv"] | None = Field(default=None, description="Default: as `Accept` says, or JSON.")
    limit: int = Field(default=1000, ge=1, le=10_000, description="Items in a JSON answer; CSV has all of them.")


@router.post(
    "",
    summary="Compare a provider's bill with our ledger",
    response_model=BillReport,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **documented(401, 404, 413, 415, 422, 503),
    },
    openapi_extra=_BODY,
)
async def compare(
    services: ServicesDep,
    _operator: OperatorDep,
    actor: ActorDep,
    request: Request,
    query: Annotated[BillQuery, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Send the provider's export as CSV: which jobs are only on the bill, only in our ledger, or at another cost.

    As CSV the answer has a line for each of them. Nothing is changed.
    """
    services.providers.check(query.provider, "")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise HTTPException(415, f"Send the bill as {MEDIA_TYPE}.")
    body = await read_bounded(request, LONGEST_BILL)
    asked = BillQuestion(query.provider, _columns(query.columns), query.first, query.last)
    as_csv = query.format == "csv" or (query.format is None and wants_csv(accept))
    report = await services.bill_desk.report(body, asked, limit=None if as_csv else query.limit)
    await _record(services, actor, body, report)
    if as_csv:
        return await csv_answer([*BillItem.model_fields], _rows(report), filename=f"bill-{query.provider}.csv")
    return JSONResponse(report.model_dump(mode="json"), headers={"Vary": "Accept"})


def _columns(said: str) -> dict[str, str]:
    """Raises InvalidRequest."""
    found = [_PAIR.fullmatch(pair.strip()) for pair in said.split(",") if pair.strip()]
    if not all(found):
        raise InvalidRequest(f"Name columns as {', '.join(KNOWN)}, each with its name on the bill.", field="columns")
    return {pair[1]: pair[2] for pair in found if pair}


async def _record(services: Services, actor: Actor, body: bytes, report: BillReport) -> None:
    facts: dict[str, Any] = report.model_dump(
        mode="json", include={"since", "until", "lines", "matched", "counts", "theirs_usd", "ours_usd"}
    )
    facts["bill_sha256"] = hashlib.sha256(body).hexdigest()
    async with services.database.transaction("bill.compared") as session:
        await audit.record(session, actor, "bill.compared", "provider", report.provider, **facts)


async def _rows(report: BillReport) -> AsyncIterator[list[Cell]]:
    for item in report.items:
        yield [*dict(item).values()]
