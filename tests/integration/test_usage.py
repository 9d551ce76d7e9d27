"""Usage on a real PostgreSQL: whichever way it is grouped, it is what the rows say, and its sums are the ledger's."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from contracts.statuses import Billed, Kind, SpendState, Status, Step
from contracts.usage import FIGURES, UsageGroup
from db import usage
from db.models import Generation, Spend, Tenant
from db.quotas import first_id
from db.reports import Reports
from db.usage import UsageWanted
from errors import InvalidRequest
from tests.integration.conftest import Tables
from tests.integration.patience import PATIENT

FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 3
QUOTED = Decimal("50.00")
ENDED = {SpendState.settled, SpendState.released}
LIVE = {Status.queued, Status.running}

usd = st.integers(0, 2_000_000).map(lambda millionths: Decimal(millionths).scaleb(-6))
within_a_day = st.sampled_from([0, 1, 43_200_000_000, 86_399_999_999]).map(lambda us: timedelta(microseconds=us))


@dataclass(frozen=True)
class Bought:
    """A purchase as the ledger has it."""

    provider: str
    model: str
    state: SpendState
    sends: int
    hold: Decimal
    cost: Decimal
    made: bool
    own_key: bool = False

    @property
    def counts(self) -> bool:
        return self.sends > 0 or self.state is SpendState.settled

    @property
    def spent(self) -> Decimal:
        return self.cost if self.state is SpendState.settled else Decimal(0)

    @property
    def held(self) -> Decimal:
        return Decimal(0) if self.state in ENDED else self.hold


@dataclass(frozen=True)
class Asked:
    """An accepted request, and what was bought for it."""

    at: datetime
    key: str | None
    user: str | None
    session: str | None
    tags: tuple[str, ...]
    kind: Kind
    status: Status
    bought: tuple[Bought, ...]

    @property
    def hold(self) -> Decimal:
        if self.status is Status.needs_review:
            return max(Decimal(0), QUOTED - sum(one.spent for one in self.bought))
        return QUOTED if self.status in LIVE else Decimal(0)

    @property
    def left(self) -> Decimal:
        """What is promised, and neither spent nor under way."""
        promised = QUOTED if self.hold else Decimal(0)
        return max(Decimal(0), promised - sum(one.spent + one.held for one in self.bought))


purchase = st.builds(
    Bought,
    provider=st.sampled_from(["one", "two"]),
    model=st.sampled_from(["fast", "fine"]),
    state=st.sampled_from(SpendState),
    sends=st.integers(0, 2),
    hold=usd,
    cost=usd,
    made=st.booleans(),
    own_key=st.booleans(),
)
request = st.builds(
    Asked,
    at=st.builds(lambda day, moment: FIRST_DAY + timedelta(days=day) + moment, st.integers(-1, DAYS), within_a_day),
    key=st.sampled_from([None, "aaaaaaaaaaaa", "bbbbbbbbbbbb"]),
    user=st.sampled_from([None, "ann", "-bob"]),
    session=st.sampled_from([None, "evening"]),
    tags=st.sampled_from([(), ("x",), ("x", "y"), ("y", "y")]),
    kind=st.sampled_from([Kind.avatar, Kind.image]),
    status=st.sampled_from(Status),
    bought=st.lists(purchase, max_size=4).map(tuple),
)
# A tenant's own groups, one to three of them, in any order.
groups = st.lists(
    st.sampled_from([one for one in UsageGroup if one is not UsageGroup.tenant]), min_size=1, max_size=3, unique=True
)


async def keep(tables: Tables, asked: list[Asked]) -> UUID:
    """The rows of all that, for a tenant of its own."""
    tenant = Tenant(name=str(uuid4()))
    async with tables.database.transaction() as session:
        session.add(tenant)
        await session.flush()
        rows = [(_generation(tenant.id, one), one.bought) for one in asked]
        session.add_all(row for row, _ in rows)
        await session.flush()
        session.add_all(_spend(row, *numbered) for row, bought in rows for numbered in enumerate(bought))
    return tenant.id


def _generation(tenant_id: UUID, one: Asked) -> Generation:
    return Generation(
        id=UUID(int=first_id(one.at).int | (uuid4().int & ((1 << 62) - 1))),
        tenant_id=tenant_id,
        kind=one.kind,
        status=one.status,
        request={},
        request_hash="",
        key_id=one.key,
        user_id=one.user,
        session_id=one.session,
        tags=list(one.tags),
        quote_max_usd=QUOTED,
        hold_usd=one.hold,
        result={} if one.status is Status.succeeded else None,
        created_at=one.at,
        finished_at=one.at if one.status.is_final else None,
    )


def _spend(row: Generation, number: int, bought: Bought) -> Spend:
    return Spend(
        tenant_id=row.tenant_id,
        generation_id=row.id,
        step=Step.avatar,
        purchase=number,
        state=bought.state,
        provider=bought.provider,
        model=bought.model,
        own_key=bought.own_key,
        token=str(uuid4()),
        prompt="",
        prompt_name="",
        prompt_version="",
        prompt_hash="",
        hold_usd=bought.hold,
        cost_usd=_cost(bought),
        sends=bought.sends,
        asset_id=uuid4() if bought.made else None,
        ended_at=row.created_at if bought.state in ENDED else None,
        sent_at=row.created_at,
        submitted_at=row.created_at,
        billed=Billed.no if bought.state is SpendState.released else Billed.unknown,
        provider_job_id=str(uuid4()),
        lease_until=row.created_at,
        deadline_at=row.created_at,
        created_at=row.created_at,
    )


def _cost(bought: Bought) -> Decimal | None:
    """What the row says of it: a synchronous provider's price is known before it is settled, and does not count yet."""
    costs = {SpendState.settled: bought.cost, SpendState.submitted: bought.cost, SpendState.released: Decimal(0)}
    return costs.get(bought.state)


def members_of(one: Asked, tag: str | None, bought: Bought | None) -> dict[UsageGroup, str | None]:
    return {
        UsageGroup.day: one.at.date().isoformat(),
        UsageGroup.key: one.key,
        UsageGroup.user: one.user,
        UsageGroup.session: one.session,
        UsageGroup.tag: tag,
        UsageGroup.kind: one.kind.value,
        UsageGroup.provider: bought.provider if bought else None,
        UsageGroup.model: bought.model if bought else None,
    }


def tags_of(one: Asked, by: tuple[UsageGroup, ...]) -> tuple[str | None, ...]:
    return tuple({*one.tags}) or (None,) if UsageGroup.tag in by else (None,)


def expected(asked: list[Asked], by: tuple[UsageGroup, ...]) -> dict[tuple[str | None, ...], list[Any]]:
    """The same sums, made row by row."""
    sums: dict[tuple[str | None, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, *[Decimal(0)] * 3])
    by_purchase = bool({UsageGroup.provider, UsageGroup.model} & set(by))
    tagged: list[tuple[Asked, str | None]] = [(one, tag) for one in asked for tag in tags_of(one, by)]
    for one, tag in tagged:
        nowhere = not by_purchase or not one.bought
        places = {tuple(members_of(one, tag, bought)[name] for name in by) for bought in one.bought}
        for place in places | ({tuple(members_of(one, tag, None)[name] for name in by)} if nowhere else set()):
            sums[place][0] += 1
        for bought in one.bought:
            line = sums[tuple(members_of(one, tag, bought)[name] for name in by)]
            line[1] += bought.made and one.status is Status.succeeded
            line[2] += bought.counts
            line[3] += bought.counts and bought.state in ENDED and not bought.made
            line[4] += bought.spent
            line[5] += bought.spent if bought.own_key else 0
            line[6] += bought.held
        if nowhere or one.left:
            sums[tuple(members_of(one, tag, None)[name] for name in by)][6] += one.left
    return dict(sums)


async def told(tables: Tables, wanted: UsageWanted) -> dict[tuple[str | None, ...], list[Any]]:
    async with tables.database.transaction() as session:
        found = await usage.first_lines(session, wanted, limit=100_000)
    assert len({line.members for line in found}) == len(found)
    assert [line.members for line in found] == sorted(
        (line.members for line in found), key=lambda members: [(one is None, one or "") for one in members]
    )
    return {line.members: [getattr(line.figures, name) for name in FIGURES] for line in found}


def in_time(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if FIRST_DAY <= one.at < FIRST_DAY + timedelta(days=DAYS)]


@given(st.lists(request, max_size=8), st.lists(groups, min_size=1, max_size=4))
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_every_grouping_says_what_the_rows_say(
    tables: Tables, asked: list[Asked], groupings: list[list[UsageGroup]]
) -> None:
    tenant_id = await keep(tables, asked)
    first, last = FIRST_DAY.date(), (FIRST_DAY + timedelta(days=DAYS - 1)).date()

    for by in [(), *map(tuple, groupings)]:
        found = await told(tables, UsageWanted(tenant_id, first, last, by))
        nothing: dict[tuple[str | None, ...], list[Any]] = {(): [0] * len(FIGURES)} if not by else {}
        assert found == (expected(in_time(asked), by) or nothing), by


@given(st.lists(request, max_size=8), groups)
@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_sums_over_groups_are_the_sums_of_the_ledger_to_the_last_millionth(
    tables: Tables, asked: list[Asked], by: list[UsageGroup]
) -> None:
    """All but tags, of which a generation may have many."""
    tenant_id = await keep(tables, asked)
    kept = tuple(group for group in by if group is not UsageGroup.tag)
    everything = UsageWanted(tenant_id, (FIRST_DAY - timedelta(days=9)).date(), (FIRST_DAY + timedelta(days=9)).date())

    found = await told(tables, UsageWanted(tenant_id, everything.first, everything.last, kept))

    async with tables.database.transaction() as session:
        connection = await session.connection()
        ledger = "select coalesce(sum(cost_usd), 0) from spend where tenant_id = :id and state = 'settled'"
        spent = (await connection.execute(text(ledger), {"id": tenant_id})).scalar_one()
        total = await usage.whole(session, everything)
    assert sum(line[4] for line in found.values()) == spent == total.cost_usd
    assert sum(line[5] for line in found.values()) == total.own_keys_usd
    assert sum(line[6] for line in found.values()) == total.held_usd


def an_image(status: Status, *bought: Bought) -> Asked:
    return Asked(FIRST_DAY, None, None, None, (), Kind.image, status, bought)


async def test_what_is_spent_and_held_is_what_a_budget_of_the_tenant_would_count(tables: Tables) -> None:
    """Live: its whole promise. Ended: what it cost. In review: what it cost, and what is left of the promise."""
    cost = Decimal("1.25")
    paid = Bought("one", "fast", SpendState.settled, 1, Decimal(2), cost, made=True)
    asked = [an_image(status, paid) for status in (Status.running, Status.failed, Status.needs_review)]
    tenant_id = await keep(tables, asked)

    async with tables.database.transaction() as session:
        total = await usage.whole(session, UsageWanted(tenant_id, FIRST_DAY.date(), FIRST_DAY.date()))

    assert (total.cost_usd, total.cost_usd + total.held_usd) == (3 * cost, QUOTED + cost + QUOTED)


async def test_groups_and_totals_are_of_one_moment(tables: Tables) -> None:
    paid = Bought("one", "fast", SpendState.settled, 1, Decimal(2), Decimal("1.25"), made=True)
    tenant_id = await keep(tables, [an_image(Status.failed, paid)])
    wanted = UsageWanted(tenant_id, FIRST_DAY.date(), FIRST_DAY.date(), (UsageGroup.provider,))
    reports = Reports(tables.url, patience=PATIENT)

    async with reports.snapshot() as session:
        lines = await usage.first_lines(session, wanted, limit=10)
        async with tables.database.transaction() as another:
            dearer = text("update spend set cost_usd = 3 where tenant_id = :id")
            await (await another.connection()).execute(dearer, {"id": tenant_id})
        total = await usage.whole(session, wanted)
    await reports.close()

    assert total.cost_usd == sum(line.figures.cost_usd for line in lines) == Decimal("1.25")


async def test_what_takes_too_long_is_ended_at_the_server_and_to_be_asked_for_in_parts(tables: Tables) -> None:
    reports = Reports(tables.url, within_s=3, patience=PATIENT)  # its connection is made within as long, too
    with pytest.raises(InvalidRequest, match="fewer days"):
        async with reports.snapshot() as session:
            await (await session.connection()).execute(text("select pg_sleep(600)"))
    await reports.close()

    running = text(
        "select count(*) from pg_stat_activity where application_name = 'diorama-reports' and state = 'active'"
    )
    async with tables.database.statement() as session:
        assert (await (await session.connection()).execute(running)).scalar_one() == 0


async def test_operators_see_all_tenants_and_everybody_else_only_the_own(tables: Tables) -> None:
    mine, others = [await keep(tables, [an_image(Status.running)] * count) for count in (1, 2)]
    day = FIRST_DAY.date()

    everybody = await told(tables, UsageWanted(None, day, day, (UsageGroup.tenant,)))

    assert (everybody[str(mine),][0], everybody[str(others),][0]) == (1, 2)
    assert [*await told(tables, UsageWanted(mine, day, day, (UsageGroup.day,)))] == [("2026-03-01",)]


@pytest.mark.parametrize(
    "by", [pair for pair in product(UsageGroup, UsageGroup) if pair[0] is not pair[1]], ids=" ".join
)
async def test_nothing_is_told_where_nothing_was_asked(tables: Tables, by: tuple[UsageGroup, ...]) -> None:
    assert await told(tables, UsageWanted(uuid4(), FIRST_DAY.date(), FIRST_DAY.date(), by)) == {}


async def test_the_whole_of_nothing_is_zero(tables: Tables) -> None:
    async with tables.database.transaction() as session:
        total = await usage.whole(session, UsageWanted(uuid4(), FIRST_DAY.date(), FIRST_DAY.date()))

    assert {getattr(total, name) for name in FIGURES} == {0}
