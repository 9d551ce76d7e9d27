"""What clients uploaded belongs to no generation: it waits a day for its first one, and is nobody's stray meanwhile."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from activities.reconciliation.retention import RetentionRules
from contracts.statuses import AssetRole, AssetState, Kind
from db import input_assets, retention
from db.models import Asset
from tests.integration.reconciler.test_looks import MANY, PORTIONS, ROWS_READ
from tests.integration.reconciler.test_pictures import succeeded
from tests.integration.reconciler.yard import PATIENT, Yard


async def upload(
    yard: Yard, *, hours_ago: int = 0, body: bytes = b"mine", state: AssetState = AssetState.stored
) -> Asset:
    asset = await yard.picture(None, role=AssetRole.input, body=body, state=state)
    if state is AssetState.stored:
        await yard.set("asset", asset.id, stored_at=f"now() - interval '{hours_ago} hours'")
    return asset


async def use(yard: Yard, asset: Asset) -> None:
    async with yard.tables.database.transaction() as session:
        await input_assets.mark_used(session, asset.tenant_id, [asset.id])


def image_of(*asset_ids: UUID) -> dict[str, Any]:
    request = {"kind": "image", "prompt": "a fox", "image_asset_ids": [str(one) for one in asset_ids]}
    return {"kind": Kind.image, "request": request}


def enhancement_of(asset_id: UUID) -> dict[str, Any]:
    return {"kind": Kind.enhance, "request": {"kind": "enhance", "image_asset_id": str(asset_id)}}


async def test_an_upload_that_nobody_used_within_a_day_is_removed(yard: Yard) -> None:
    old, young = await upload(yard, hours_ago=25), await upload(yard, hours_ago=23, body=b"young")

    assert await yard.findings("retention") == [("retention", "removed")]
    assert await yard.keys() == [young.key]
    assert (await yard.asset(old.id)).state is AssetState.deleted


async def test_an_upload_that_was_used_once_stays(yard: Yard) -> None:
    asset = await upload(yard, hours_ago=25)
    await use(yard, asset)

    assert await yard.findings("retention") == []


async def test_an_upload_that_came_into_use_after_it_was_found_stays(yard: Yard) -> None:
    asset = await upload(yard, hours_ago=25)
    check = next(check for check in yard.checks() if check.name == "retention")
    (stray,) = (await check.find("")).strays
    await use(yard, asset)

    assert await check.mend(stray) is None
    assert await yard.keys() == [asset.key]


@pytest.mark.parametrize("way", [image_of, enhancement_of])
async def test_a_used_upload_that_became_too_old_is_kept_while_somebody_works_from_it(yard: Yard, way: Any) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    asset = await upload(yard, hours_ago=31 * 24)
    await use(yard, asset)
    reader = await yard.running(**way(asset.id))

    assert await yard.findings("retention") == []
    await yard.closed(reader)
    assert await yard.findings("retention") == [("retention", "removed")]


@pytest.mark.parametrize("way", [image_of, enhancement_of])
async def test_a_made_picture_is_kept_while_an_image_works_from_it(yard: Yard, way: Any) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    maker = await succeeded(yard)
    first, second = await yard.picture(maker, body=b"1"), await yard.picture(maker, body=b"2")
    for asset in (first, second):
        await yard.set("asset", asset.id, stored_at="now() - interval '31 days'")
    await yard.running(**way(second.id))

    assert await yard.findings("retention") == [("retention", "removed")]
    assert await yard.keys() == [second.key]


async def test_the_second_of_several_pictures_is_kept_too(yard: Yard) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    assets = [await upload(yard, hours_ago=31 * 24, body=body) for body in (b"1", b"2", b"3")]
    for asset in assets:
        await use(yard, asset)
    await yard.running(**image_of(*(asset.id for asset in assets)))

    assert await yard.findings("retention") == []


@pytest.mark.parametrize("check", ["unfinished_assets", "objects"])
async def test_a_stored_upload_is_not_astray(yard: Yard, check: str) -> None:
    await upload(yard, hours_ago=20)

    assert await yard.findings(check) == []


async def test_an_upload_that_was_never_finished_is_removed_after_the_grace(yard: Yard) -> None:
    asset = await upload(yard, state=AssetState.pending)
    rules, yard.rules = yard.rules, PATIENT
    assert await yard.findings("unfinished_assets") == []
    yard.rules = rules

    assert await yard.findings("unfinished_assets") == [("asset_unfinished", "removed")]
    assert (await yard.asset(asset.id)).state is AssetState.deleted
    assert await yard.keys() == []


async def test_the_deletion_of_a_session_leaves_the_uploads_that_it_used(yard: Yard) -> None:
    asset = await upload(yard)
    await use(yard, asset)
    generation = await succeeded(yard, session_id="walk", **image_of(asset.id))
    await yard.set("generation", generation.id, deleted_at="now()")

    assert await yard.findings("retention") == []
    assert await yard.keys() == [asset.key]


LIVE_READERS = """
insert into generation (id, tenant_id, kind, status, stage, progress, request, tags, request_hash, acceptance, run, quote_max_usd,
                        event_seq, created_at, started_at)
select gen_random_uuid(), :tenant_id, kind, 'running', '', 0, jsonb_build_object(
           'image_asset_ids', jsonb_build_array(gen_random_uuid(), gen_random_uuid()), 'image_asset_id', gen_random_uuid(),
           'avatar_asset_id', gen_random_uuid()
       ), '{}', '', '{}', 1, 1, 0, now(), now()
from generate_series(1, :many), unnest(array['image', 'enhance', 'scene']) as kind
"""


async def test_whether_a_picture_is_worked_from_is_told_without_reading_all_that_runs(yard: Yard) -> None:
    asset = await upload(yard)
    async with yard.tables.database.transaction() as session:
        connection = await session.connection()
        for _ in range(PORTIONS):  # one command for all of it might outlast the patience with a command
            portion = {"tenant_id": yard.tables.tenant_id, "many": MANY // PORTIONS // 3}
            await connection.execute(text(LIVE_READERS), portion)
        await connection.execute(text("analyze generation"))
        before = int((await connection.execute(text(ROWS_READ))).scalar_one())
        may_go = await retention.may_go(session, asset.id)
        read = int((await connection.execute(text(ROWS_READ))).scalar_one()) - before
        await session.rollback()  # the tables are other tests' too

    assert may_go
    assert read < MANY / 10
