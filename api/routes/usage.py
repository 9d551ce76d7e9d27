"""Usage and cost, told by groups: for the bill, and to see where the money goes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, Field, StringConstraints

from api.csv_answer import MEDIA_TYPE, Cell, csv_answer, wants_csv
from api.dependencies import ReadDep, ServicesDep
from api.problems import documented
from contracts.frozen import Frozen
from contracts.usage import FIGURES, MOST_GROUPS, UsageFigures, UsageGroup
from db import usage
from db.columns import now
from db.keys import Caller
from db.usage import UsageLine, UsageWanted
from errors import InvalidRequest, NotAnOperator

router = APIRouter(prefix="/v1/usage", tags=["usage"])

USUAL_DAYS: Final = 30
MOST_DAYS: Final = 366
_ONE: Final = "|".join(UsageGroup)


def _no_group_twice(groups: str) -> str:
    if len(set(groups.split(","))) < len(groups.split(",")):
        raise ValueError("name each group once")
    return groups


Groups = Annotated[
    str,
    StringConstraints(pattern=rf"^({_ONE})(,({_ONE})){{0,{MOST_GROUPS - 1}}}$"),
    AfterValidator(_no_group_twice),
]
Day = Annotated[date, Field(ge="2020-01-01", le="2200-01-01")]


class UsageQuery(Frozen):
    """Which days, and by what they are told."""

    first: Day | None = Field(
        default=None, alias="from", description="The first day, by UTC. Default: 29 days before the last."
    )
    last: Day | None = Field(default=None, alias="to", description="The last day, included. Default: today.")
    group_by: Groups = Field(
        default="day",
        description="One to three of "
        + ", ".join(UsageGroup)
        + ". `tenant` is for operators, and tells of all tenants.",
        examples=["day,provider"],
    )
    format: Literal["json", "csv"] | None = Field(default=None, description="Default: as `Accept` says, or JSON.")
    limit: int = Field(default=1000, ge=1, le=10_000, description="Groups in a JSON answer; CSV has all of them.")


class UsageItem(UsageFigures):
    """A group, and what falls into it."""

    group: dict[UsageGroup, str | None] = Field(
        description="Null: of those that have none, and by provider and model what is not bought yet.",
        examples=[{"day": "2026-11-20", "provider": "replicate"}],
    )

    @classmethod
    def of(cls, groups: tuple[UsageGroup, ...], line: UsageLine) -> Self:
        """A line as an answer."""
        return cls(group=dict(zip(groups, line.members, strict=True)), **dict(line.figures))


class UsageAnswer(Frozen):
    """Usage in some days, both included. A generation counts on the day of its acceptance, with all that it costs ever."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    group_by: tuple[UsageGroup, ...]
    items: tuple[UsageItem, ...] = Field(description="In the order of the groups.")
    totals: UsageFigures = Field(
        description="Of all generations, each counted once: by `tag`, `provider` and `model` one may be in several groups."
    )
    truncated: bool = Field(description="There are more groups: ask for CSV, for fewer days or for other groups.")


@router.get(
    "",
    summary="Usage and cost by groups",
    response_model=UsageAnswer,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}, **documented(401, 422, 503)},
)
async def read(
    services: ServicesDep,
    caller: ReadDep,
    query: Annotated[UsageQuery, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """What your tenant asked for, bought and spent. As CSV it is a line a group, without the totals."""
    wanted = _wanted(caller, query)
    async with services.reports.snapshot() as session:
        if query.format == "csv" or (query.format is None and wants_csv(accept)):
            filename = f"usage-{wanted.first}-{wanted.last}.csv"
            return await csv_answer([*wanted.groups, *FIGURES], _rows(usage.lines(session, wanted)), filename=filename)
        lines = await usage.first_lines(session, wanted, limit=query.limit + 1)
        totals = await usage.whole(session, wanted)
    answer: dict[str, Any] = UsageAnswer(
        **{"from": wanted.first, "to": wanted.last},
        group_by=wanted.groups,
        items=tuple(UsageItem.of(wanted.groups, line) for line in lines[: query.limit]),
        totals=totals,
        truncated=len(lines) > query.limit,
    ).model_dump(mode="json", by_alias=True)
    return JSONResponse(answer, headers={"Vary": "Accept"})


async def _rows(lines: AsyncGenerator[UsageLine, None]) -> AsyncGenerator[list[Cell], None]:
    async with aclosing(lines):
        async for line in lines:
            yield [*line.members, *(getattr(line.figures, name) for name in FIGURES)]


def _wanted(caller: Caller, query: UsageQuery) -> UsageWanted:
    """Raises InvalidRequest, NotAnOperator."""
    groups = tuple(UsageGroup(name) for name in query.group_by.split(","))
    everybody = UsageGroup.tenant in groups
    if everybody and not caller.operator:
        raise NotAnOperator
    last = query.last or now().date()
    first = query.first or last - timedelta(days=USUAL_DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise InvalidRequest(f"From {first} to {last}: give 1 to {MOST_DAYS} days.", field="from")
    return UsageWanted(None if everybody else caller.tenant_id, first, last, groups)
