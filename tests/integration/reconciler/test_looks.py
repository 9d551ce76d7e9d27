"""What one look may take: a fair share of the time, so many bytes of the engine's, so many rows of the tables'."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities import reconciling
from activities.reconciliation import unfinished_assets
from activities.reconciliation.check import PAGE, Check, Found, Stray
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from contracts.reconciliation import CheckOrder, CheckReport, FindingAction
from contracts.statuses import AssetState
from db import retention, sessions, strays
from db.columns import now
from errors import ProviderUnavailable, StorageUnavailable
from tests.integration.conftest import Tables
from tests.integration.reconciler.yard import Yard

# The engine warns of payloads above this size, and refuses those above eight times as much.
LARGE_PAYLOAD_BYTES = 256 * 1024


class Strays:
    """A check of the test's own: what it finds, and what mending each of them comes to."""

    name = "strays_of_a_test"

    def __init__(
        self, found: list[Stray], mending: Callable[[Stray], Awaitable[FindingAction | None]], after: str = ""
    ) -> None:
        self.found = found
        self._mending = mending
        self._after = after

    async def find(self, after: str) -> Found:
        return Found(list(self.found), self._after)

    async def mend(self, stray: Stray) -> FindingAction | None:
        return await self._mending(stray)


async def a_look(tables: Tables, check: Check, order: CheckOrder) -> CheckReport:
    metrics = ReconcilerMetrics(CollectorRegistry())
    activities = ReconcileActivities(database=tables.database, checks=[check], metrics=metrics)
    report: CheckReport = await ActivityEnvironment().run(activities.reconcile, order)
    return report


async def test_what_takes_long_and_cannot_be_mended_does_not_keep_the_rest_waiting_for_ever(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, mended = [0.0], []

    async def mend(stray: Stray) -> FindingAction:
        if stray.facts["stuck"]:
            clock[0] += reconciling.LONGEST_MENDING_S * 0.6
            raise ProviderUnavailable
        mended.append(stray)
        return "settled"

    rows = [Stray("stray_of_a_test", facts={"stuck": stuck}) for stuck in (True, True, False)]
    monkeypatch.setattr(reconciling, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    check, after = Strays(rows, mend), ""
    for _ in range(10):
        after = (await a_look(tables, check, CheckOrder(check=check.name, after=after))).after

    assert mended


@pytest.mark.parametrize(("last", "goes_on_at"), [("settled", "here"), ("postponed", "behind")])
async def test_a_look_whose_time_is_used_up_comes_back_only_when_it_was_of_use(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, last: FindingAction, goes_on_at: str
) -> None:
    clock = [0.0]

    async def mend(_stray: Stray) -> FindingAction:
        clock[0] += reconciling.LONGEST_MENDING_S + 1
        return last

    monkeypatch.setattr(reconciling, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    check = Strays([Stray("stray_of_a_test", object_key=key) for key in "ab"], mend, after="behind")
    report = await a_look(tables, check, CheckOrder(check=check.name, after="here"))

    assert (report.after, report.unfinished) == (goes_on_at, last == "settled")


async def test_a_finding_that_cannot_be_written_down_does_not_keep_others_from_being_mended(tables: Tables) -> None:
    async def mend(_stray: Stray) -> FindingAction:
        return "removed"

    too_long = "k" * 60
    check = Strays([Stray(kind) for kind in (too_long, "stray_of_a_test", too_long)], mend)
    report = await a_look(tables, check, CheckOrder(check=check.name))

    assert report.counts == {too_long: 2, "stray_of_a_test": 1}


async def test_a_report_of_many_findings_is_small_enough_for_the_engine(tables: Tables) -> None:
    async def mend(_stray: Stray) -> None:
        return None

    key = f"{tables.tenant_id}/{tables.tenant_id}/avatar-{'0' * 16}.png"
    rows = [Stray("object_without_row", object_key=f"{key}{n}", facts={"size_bytes": n}) for n in range(2000)]
    check = Strays(rows, mend)
    report = await a_look(tables, check, CheckOrder(check=check.name, dry_run=True))

    assert len(report.model_dump_json()) < LARGE_PAYLOAD_BYTES
    assert report.counts == {"object_without_row": 2000}
    assert len(report.findings) == reconciling.MOST_TOLD


async def test_an_object_with_the_longest_key_that_a_store_takes_does_not_end_the_check(tables: Tables) -> None:
    async def mend(_stray: Stray) -> FindingAction:
        raise StorageUnavailable

    check = Strays([Stray("object_without_row", object_key="k" * 1024)], mend)
    report = await a_look(tables, check, CheckOrder(check=check.name))

    assert [item.action for item in report.findings] == ["postponed"]


# Tables of many rows


async def test_late_pictures_among_many_generations_that_failed_are_found_page_by_page(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_assets, "PAGE", 2)
    monkeypatch.setattr(strays, "GENERATIONS_PER_ROW", 1)
    late = []
    for number in range(7):
        generation = await yard.running()
        if number in {0, 3, 4, 6}:
            late.append(await yard.picture(generation))
        await yard.closed(generation)
        await yard.picture(None, state=AssetState.pending, body=b"%d" % number)
    found, after, looks = [], "", 0
    while looks == 0 or after:
        report = await yard.check("unfinished_assets", after=after)
        found += [item.asset_id for item in report.findings]
        after, looks = report.after, looks + 1

    assert {asset.id for asset in late} < set(found)
    assert (len(found), len(set(found)), looks > 3) == (11, 11, True)
    assert await yard.keys() == []


MANY = 20_000
PORTIONS = 20
HISTORY = """
with made as (
    insert into generation (id, tenant_id, kind, status, stage, progress, request, session_id, tags, request_hash, acceptance, run,
                            quote_max_usd, cost_usd, result, event_seq, created_at, dispatched_at, finished_at)
    select gen_random_uuid(), :tenant_id, 'avatar', 'succeeded', '', 1, '{}', 'review-' || n, '{}', '', '{}', 1, 1, 0.01, '{}', 1,
           now() - interval '1 day', now(), now() - interval '1 day'
    from generate_series(1, :many) as n returning id
), told as (
    insert into event (generation_id, seq, type, data, created_at)
    select id, 1, 'generation.succeeded', '{}', now() - interval '1 day' from made
), kept as (
    insert into asset (id, tenant_id, generation_id, step, role, state, key, content_type, size_bytes, sha256, width,
                       height, created_at, stored_at)
    select gen_random_uuid(), :tenant_id, id, 'avatar', 'picture', 'stored', 'review/' || id, 'image/png', 1, '', 1, 1,
           now() - interval '1 day', now() - interval '1 day' from made
)
insert into spend (id, tenant_id, generation_id, step, purchase, state, provider, model, token, prompt, prompt_name,
                   prompt_version, prompt_hash, hold_usd, cost_usd, billed, possible_duplicate, lease, lease_until,
                   deadline_at, sends, provider_job_id, created_at, ended_at)
select gen_random_uuid(), :tenant_id, id, 'avatar', 0, 'settled', 'replicate', 'm', 'review-' || id, '', '', '', '', 1,
       0.01, 'yes', false, 1, now(), now(), 1, id, now() - interval '1 day', now() from made
"""
ROWS_READ = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables
where relname in ('generation', 'asset', 'spend')
"""
Look = Callable[[AsyncSession], Awaitable[Any]]
AGO = timedelta(minutes=15)
LOOKS: dict[str, Look] = {
    "open_spends_of_closed": lambda session: strays.open_spends_of_closed(
        session, before=now() - AGO, after=None, limit=PAGE
    ),
    "unfinished_assets": lambda session: strays.unfinished_assets(session, before=now() - AGO, after=None, limit=PAGE),
    "retention.expired": lambda session: retention.expired(session, stored_before=now() - AGO, limit=PAGE),
    "retention.unused": lambda session: retention.unused(session, stored_before=now() - AGO, limit=PAGE),
    "retention.deleted": lambda session: retention.deleted(session, deleted_before=now(), limit=PAGE),
    "sessions.undeleted": lambda session: sessions.undeleted(session, before=now(), limit=PAGE),
}


@pytest.mark.parametrize("name", LOOKS)
async def test_a_look_for_what_is_astray_does_not_read_all_that_ever_was(tables: Tables, name: str) -> None:
    read: list[int] = []
    async with tables.database.transaction() as session:
        connection = await session.connection()
        for _ in range(PORTIONS):  # one command for all of it might outlast the patience with a command
            await connection.execute(text(HISTORY), {"tenant_id": tables.tenant_id, "many": MANY // PORTIONS})
        for table in ("generation", "event", "asset", "spend"):
            await connection.execute(text(f"analyze {table}"))
        read.append(int((await connection.execute(text(ROWS_READ))).scalar_one()))
        await LOOKS[name](session)
        read.append(int((await connection.execute(text(ROWS_READ))).scalar_one()))
        await session.rollback()  # the tables are other tests' too

    assert read[1] - read[0] < MANY / 10
