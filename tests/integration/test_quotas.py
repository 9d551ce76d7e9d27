"""How many generations a tenant may have under way and in a day: PostgreSQL against a model, and many at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, update

from contracts.statuses import Kind, Status
from contracts.tiers import Allowance
from db import generations, tenants
from db.engine import Database
from db.models import Generation
from db.quotas import accepted_at, first_id
from errors import DailyQuotaExhausted, QueueFull
from tests.integration.patience import PATIENT

DAY = datetime(2026, 3, 1, tzinfo=UTC)
FREE = st.none() | st.integers(0, 6)
# Most are accepted in an hour around midnight, so that days meet.
HOURS = st.floats(min_value=-1, max_value=1, allow_nan=False) | st.floats(min_value=0, max_value=60, allow_nan=False)


@pytest.fixture(scope="module")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=10, patience=PATIENT)
    yield database
    await database.close()


async def _tenant(database: Database) -> UUID:
    async with database.transaction() as session:
        return await tenants.ensure(session, f"quotas {uuid4()}")


def _allowance(*, in_flight: int | None = None, per_day: int | None = None) -> Allowance:
    return Allowance(requests_per_minute=None, in_flight=in_flight, per_day=per_day, weight=1.0)


def _generation(tenant_id: UUID, moment: datetime) -> Generation:
    """One whose id was made in this moment."""
    id_ = UUID(int=first_id(moment).int | (0x7 << 76) | (0b10 << 62) | (uuid4().int & ((1 << 62) - 1)))
    return Generation(
        id=id_,
        tenant_id=tenant_id,
        kind=Kind.avatar,
        request={},
        request_hash="",
        quote_max_usd=Decimal(0),
        created_at=moment,
    )


async def _accept(database: Database, allowance: Allowance, generation: Generation) -> str:
    """`accepted`, or the code of the refusal."""
    try:
        async with database.statement() as session:
            assert await generations.accept(session, generation, allowance)
    except (QueueFull, DailyQuotaExhausted) as refusal:
        return refusal.code
    return "accepted"


async def _end(database: Database, generation_id: UUID, status: Status) -> None:
    async with database.transaction() as session:
        for step in (Status.running, status):
            changed = update(Generation).where(col(Generation.id) == generation_id)
            await session.exec(changed.values(status=step, **_columns_of(step)))


def _columns_of(status: Status) -> dict[str, object]:
    if status is Status.running:
        return {"started_at": DAY}
    return {"finished_at": DAY, "result": {"pictures": []} if status is Status.succeeded else None}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(in_flight=FREE, per_day=FREE, steps=st.lists(st.tuples(HOURS, st.booleans()), max_size=20))
async def test_the_database_accepts_what_the_model_accepts(
    database: Database, in_flight: int | None, per_day: int | None, steps: list[tuple[float, bool]]
) -> None:
    tenant_id, allowance = await _tenant(database), _allowance(in_flight=in_flight, per_day=per_day)
    of_day: Counter[date] = Counter()
    live: list[UUID] = []

    for hours, ends in steps:
        moment = DAY + timedelta(hours=hours)
        generation = _generation(tenant_id, moment)
        day = accepted_at(generation.id).date()
        expected = "accepted"
        if per_day is not None and of_day[day] >= per_day:
            expected = "daily_quota_exhausted"
        elif in_flight is not None and len(live) >= in_flight:
            expected = "queue_full"

        assert await _accept(database, allowance, generation) == expected

        if expected == "accepted":
            of_day[day] += 1
            live.append(generation.id)
        if ends and live:
            await _end(database, live.pop(0), Status.succeeded)


@pytest.mark.parametrize("limit", ["in_flight", "per_day"])
async def test_of_many_at_once_exactly_as_many_as_may_are_accepted(database: Database, limit: str) -> None:
    tenant_id, allowance = await _tenant(database), _allowance(**{limit: 7})

    answers = await asyncio.gather(
        *(_accept(database, allowance, _generation(tenant_id, DAY + timedelta(hours=5))) for _ in range(50))
    )

    assert Counter(answers)["accepted"] == 7


async def test_nobody_waits_for_anybody_where_there_is_no_limit(database: Database) -> None:
    tenant_id = await _tenant(database)
    generation = _generation(tenant_id, DAY)

    async with database.transaction() as other:  # accepts for the same tenant, and takes its time
        assert await generations.accept(other, _generation(tenant_id, DAY), _allowance(in_flight=5))
        answer = await _accept(database, _allowance(), generation)

    assert answer == "accepted"


async def test_who_does_not_fit_is_told_so_while_another_one_is_being_accepted(database: Database) -> None:
    tenant_id = await _tenant(database)
    assert await _accept(database, _allowance(), _generation(tenant_id, DAY)) == "accepted"

    async with database.transaction() as other:
        assert await generations.accept(other, _generation(tenant_id, DAY), _allowance(in_flight=5))
        answers = [
            await _accept(database, limit, _generation(tenant_id, DAY))
            for limit in (_allowance(in_flight=1), _allowance(per_day=1))
        ]

    assert answers == ["queue_full", "daily_quota_exhausted"]


async def test_who_writes_pictures_and_purchases_does_not_wait_for_who_accepts(database: Database) -> None:
    tenant_id = await _tenant(database)
    generation = _generation(tenant_id, DAY)
    await _accept(database, _allowance(), generation)

    async with database.transaction() as accepting:
        assert await generations.accept(accepting, _generation(tenant_id, DAY), _allowance(in_flight=5))
        # as the insert of a picture or a purchase does, by its foreign key
        async with database.transaction() as working:
            connection = await working.connection()
            locked = await connection.exec_driver_sql("select 1 from tenant where id = $1 for key share", (tenant_id,))

    assert locked.scalar_one() == 1


async def test_the_refusal_says_which_limit_it_is_and_when_to_come_back(database: Database) -> None:
    tenant_id = await _tenant(database)
    generation = _generation(tenant_id, DAY + timedelta(hours=23, minutes=59))

    async with database.transaction() as session:
        with pytest.raises(QueueFull) as full:
            await generations.accept(session, generation, _allowance(in_flight=0))
        with pytest.raises(DailyQuotaExhausted) as over:
            await generations.accept(session, generation, _allowance(per_day=0))

    assert full.value.facts == {"limit": 0, "of": "tenant", "retry_after_s": 10}
    assert over.value.facts == {
        "limit": 0,
        "of": "tenant",
        "resets_at": "2026-03-02T00:00:00Z",
        "retry_after_s": 60,
    }


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 given its zone below
def test_the_first_id_of_a_moment_was_accepted_in_that_moment(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)

    assert abs(accepted_at(first_id(moment)) - moment) <= timedelta(microseconds=1)
    assert first_id(moment) < first_id(moment + timedelta(milliseconds=1))
