"""Usage of a tenant with many rows, among many of others: found by indexes, and not by reading all tables."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from contracts.budgets import BudgetOf, Period
from contracts.usage import UsageGroup
from db import bills, budgets, migrate, usage
from db.engine import Database
from db.models import ApiKey
from db.money_models import Budget
from db.reports import Reports
from db.usage import UsageWanted
from tests.integration.patience import PATIENT

MANY = UUID(int=1)
ROWS = 30_000
# Of a year of rows, one for each 17 and a half minutes.
FIRST, LAST = date(2026, 6, 1), date(2026, 6, 30)

TENANT = "insert into tenant (id, name, tier, policy, created_at) values (:many, 'many', 'standard', 'usual', now())"
# Ids as they are made: the time in milliseconds first. The triggers that count money have tests of their own.
GENERATIONS = """
    insert into generation (
        id, tenant_id, kind, status, stage, progress, request, key_id, session_id, user_id, tags, request_hash, acceptance, run,
        quote_max_usd, hold_usd, cost_usd, result, event_seq, created_at, finished_at
    )
    select cast(lpad(to_hex(cast(extract(epoch from moment) * 1000 as bigint)), 12, '0') || '7000' || lpad(to_hex(n), 16, '8')
            as uuid),
        case n % 2 when 0 then cast(:many as uuid) else cast(lpad(to_hex(2 + n % 100), 32, '0') as uuid) end, 'image', 'succeeded', '', 1, '{}',
        'k' || n % 7, 's' || n % 5000, 'u' || n % 900, array['t' || n % 20], '', '{}', 1, 0.1, 0, 0.04, '{}', 2, moment, moment
    from generate_series(1, :rows * 2) as n,
        lateral (select timestamptz '2026-01-01 00:00Z' + n * interval '31536000 s' / (:rows * 2) as moment) as at
"""
SPENDS = """
    insert into spend (
        id, tenant_id, generation_id, step, purchase, state, provider, model, own_key, token, prompt, prompt_name, prompt_version,
        prompt_hash, hold_usd, cost_usd, billed, possible_duplicate, lease, lease_until, deadline_at, sends, asset_id,
        provider_job_id, created_at, sent_at, ended_at
    )
    select id, tenant_id, id, 'variant-1', 0, 'settled', 'p' || event_seq % 3, 'm', false, id, '', '', '', '', 0.05, 0.04, 'yes',
        false, 1, created_at, created_at, 1, id, 'job-' || id, created_at, created_at, created_at
    from generation
"""


@pytest.fixture(scope="module")
async def crowded(postgres_url: str) -> AsyncIterator[Database]:
    """A database of its own with 30,000 generations of a tenant, and as many of fifty others, over a year."""
    url = make_url(postgres_url)
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    await connection.execute('create database "usage_tests"')
    await connection.close()
    own = url.set(database="usage_tests").render_as_string(hide_password=False)
    await migrate.upgrade(own)
    database = Database(own, pool_size=1, patience=replace(PATIENT, command_s=120))
    values = {"many": MANY, "rows": ROWS}
    async with database.transaction() as session:
        connected = await session.connection()
        for statement in ("set local session_replication_role = replica", TENANT, GENERATIONS, SPENDS):
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            await connected.execute(text(statement), named)
    async with database.statement() as session:
        await (await session.connection()).execute(text("analyze"))
    yield database
    await database.close()


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind, table, index) of all that is read."""
    if "Relation Name" in plan or "Index Name" in plan:
        yield plan["Node Type"], plan.get("Relation Name", ""), plan.get("Index Name", "")
    for child in plan.get("Plans", ()):
        yield from scans(child)


async def plan_of(database: Database, wanted: UsageWanted) -> list[tuple[str, str, str]]:
    query = usage._query(wanted.groups, everybody=wanted.tenant_id is None)
    explained = text(f"explain (format json) {query.text}").bindparams(*query._bindparams.values())
    async with database.transaction() as session:
        found = (await (await session.connection()).execute(explained, usage._values(wanted))).scalar_one()
    plans = json.loads(found) if isinstance(found, str) else found
    return list(scans(plans[0]["Plan"]))


GROUPINGS: list[tuple[UsageGroup, ...]] = [
    (),
    (UsageGroup.day,),
    (UsageGroup.day, UsageGroup.key, UsageGroup.provider),
    (UsageGroup.session, UsageGroup.user),
    (UsageGroup.tag, UsageGroup.model),
]


@pytest.mark.parametrize("groups", GROUPINGS, ids=" ".join)
async def test_a_months_usage_of_a_tenant_reads_no_table_whole(
    crowded: Database, groups: tuple[UsageGroup, ...]
) -> None:
    read = await plan_of(crowded, UsageWanted(MANY, FIRST, LAST, groups))

    assert {table for kind, table, _ in read if kind == "Seq Scan"} == set()
    assert {index for _, _, index in read if index} & {"ix_generation_list", "pk_generation"}
    assert {index for _, _, index in read if index} & {"ix_spend_tenant", "uq_spend_purchase"}


async def test_a_months_usage_of_all_tenants_reads_no_table_whole(crowded: Database) -> None:
    read = await plan_of(crowded, UsageWanted(None, FIRST, LAST, (UsageGroup.tenant,)))

    assert {table for kind, table, _ in read if kind == "Seq Scan"} == set()


YEAR = UsageWanted(MANY, date(2026, 1, 1), date(2027, 1, 1), (UsageGroup.session,))


@pytest.fixture
async def reports(crowded: Database) -> AsyncIterator[Reports]:
    """What the API reads usage with, as patient as it is."""
    reports = Reports(crowded.url, patience=PATIENT)
    yield reports
    await reports.close()


async def test_the_sums_of_many_rows_are_right(reports: Reports) -> None:
    async with reports.snapshot() as session:
        year = await usage.whole(session, YEAR)
        lines = [line async for line in usage.lines(session, YEAR)]

    assert (year.generations, year.purchases, year.cost_usd) == (ROWS, ROWS, Decimal(ROWS * 4) / 100)
    assert (len(lines), sum(line.figures.generations for line in lines)) == (2500, ROWS)


async def test_a_keys_budget_is_filled_from_the_rows_of_its_own_tenant_alone(crowded: Database) -> None:
    begins, budget = date(2026, 12, 1), Budget(of=BudgetOf.key, owner="k3", period=Period.month, limit_usd=Decimal(1))
    counted = text(
        "select count(*) as of_all, count(*) filter (where key_id = 'k3') as of_key from generation"
        " where tenant_id = :many and created_at >= '2026-12-01 00:00Z' and created_at < '2027-01-01 00:00Z'"
    )
    was_read = text("select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'generation'")
    async with crowded.transaction() as session:
        mine = (await (await session.connection()).execute(counted, {"many": MANY})).one()
        session.add(ApiKey(id="k3", tenant_id=MANY, name="", digest=b""))

    async with crowded.transaction() as session:
        connected = await session.connection()
        # What parallel workers read is counted elsewhere.
        await connected.execute(text("set local max_parallel_workers_per_gather = 0"))
        # What the transaction before has read is counted here, too, until the server has handed it on.
        before = (await connected.execute(was_read)).one()
        held, spent = await budgets._sums(session, budget, begins)
        after = (await connected.execute(was_read)).one()

    assert (held, spent) == (Decimal(0), Decimal(mine.of_key * 4) / 100)
    assert 0 < mine.of_key < mine.of_all
    assert after.seq_scan - before.seq_scan == 0
    assert after.idx_tup_fetch - before.idx_tup_fetch <= mine.of_all + 10


async def test_the_purchases_of_a_day_and_of_its_jobs_are_found_for_a_bill(crowded: Database) -> None:
    since, until = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)
    async with crowded.transaction() as session:
        ours = await bills.between(session, "p2", since, until)
        found = await bills.by_jobs(session, "p2", [one.job_id or "" for one in ours])
        counted = text("select count(*) from spend where sent_at between :since and :until")
        sent = (await (await session.connection()).execute(counted, {"since": since, "until": until})).scalar_one()

    assert len(ours) == sent > 100
    assert found == {one.job_id: one for one in ours}
