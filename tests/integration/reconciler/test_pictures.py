"""Pictures that were left behind, the store against the tables, and what is not to be kept any longer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.keeping import Keeper, KeepingRules
from activities.reconciliation.retention import RetentionRules
from activities.sessions import SessionActivities
from contracts.pictures import SessionDeletion
from contracts.statuses import AssetRole, AssetState, Status
from db import assets, sessions
from db.columns import now
from db.models import Generation
from errors import StorageUnavailable
from storage.base import StoredObject
from storage.memory import MemoryStorage
from tests.integration.reconciler.yard import PATIENT, Yard


async def succeeded(yard: Yard, **fields: Any) -> Generation:
    """A generation that ended well; its result names no picture, which is nothing to these checks."""
    generation = await yard.running(**fields)
    await yard.set(
        "generation", generation.id, status="'succeeded'", finished_at="now()", result="'{\"pictures\": []}'"
    )
    return await yard.generation(generation.id)


# Left behind


@pytest.mark.parametrize("state", [AssetState.pending, AssetState.deleting])
@pytest.mark.parametrize("body", [b"a picture", None], ids=["with object", "without object"])
async def test_a_picture_that_nobody_will_finish_is_removed(yard: Yard, state: AssetState, body: bytes | None) -> None:
    asset = await yard.picture(await yard.closed(await yard.running()), state=state, body=body)

    assert await yard.findings("unfinished_assets") == [("asset_unfinished", "removed")]
    assert (await yard.asset(asset.id)).state is AssetState.deleted
    assert await yard.keys() == []
    assert await yard.findings("unfinished_assets") == []


async def test_a_picture_whose_generation_never_came_to_be_is_removed(yard: Yard) -> None:
    asset = await yard.picture(None, state=AssetState.pending, role=AssetRole.input)

    assert await yard.findings("unfinished_assets") == [("asset_unfinished", "removed")]
    assert (await yard.asset(asset.id)).state is AssetState.deleted


async def test_a_late_picture_of_a_generation_that_failed_is_removed(yard: Yard) -> None:
    await yard.picture(await yard.closed(await yard.running()))

    assert await yard.findings("unfinished_assets") == [("asset_unfinished", "removed")]
    assert await yard.keys() == []


async def test_of_a_generation_that_succeeded_only_raw_answers_are_left_behind(yard: Yard) -> None:
    generation = await succeeded(yard)
    result = await yard.picture(generation)
    await yard.picture(generation, role=AssetRole.raw)

    assert await yard.findings("unfinished_assets") == [("asset_unfinished", "removed")]
    assert await yard.keys() == [result.key]


@pytest.mark.parametrize("status", [Status.queued, Status.running, Status.needs_review])
async def test_pictures_of_generations_that_go_on_are_not_touched(yard: Yard, status: Status) -> None:
    generation = await (yard.queued() if status is Status.queued else yard.running())
    await yard.picture(generation, state=AssetState.pending)
    await yard.picture(generation, role=AssetRole.raw)
    if status is Status.needs_review:
        await yard.closed(generation, "needs_review")

    assert await yard.findings("unfinished_assets") == []


async def test_what_was_closed_just_now_is_left_to_its_last_attempts(yard: Yard) -> None:
    yard.rules = PATIENT
    await yard.picture(await yard.closed(await yard.running()), state=AssetState.deleting)

    assert await yard.findings("unfinished_assets") == []


async def test_a_store_that_is_away_postpones_the_removal_and_is_told_of_once(yard: Yard) -> None:
    class Away(MemoryStorage):
        async def delete(self, key: str) -> None:
            raise StorageUnavailable(key=key)

    await yard.picture(await yard.closed(await yard.running()), state=AssetState.pending)
    keeper = Keeper(yard.tables.database, Away(), yard.tools.providers, KeepingRules())
    yard.tools = replace(yard.tools, keeper=keeper)

    for _ in range(2):
        item = await yard.only("unfinished_assets")
        assert (item.action, item.facts["error"]) == ("postponed", "storage_unavailable")
    assert len(await yard.rows()) == 1


# The store against the tables


async def test_an_object_without_a_row_is_removed(yard: Yard) -> None:
    await yard.put(f"{yard.tables.tenant_id}/{uuid4()}/avatar-0123456789abcdef.png")

    assert await yard.findings("objects") == [("object_without_row", "removed")]
    assert await yard.keys() == []
    assert await yard.findings("objects") == []


async def test_an_object_whose_row_says_that_it_is_deleted_is_removed(yard: Yard) -> None:
    asset = await yard.picture(await yard.running())
    await yard.tools.keeper.remove(asset.id)
    await yard.put(asset.key)

    assert await yard.findings("objects") == [("object_without_row", "removed")]


@pytest.mark.parametrize("state", [AssetState.pending, AssetState.stored, AssetState.deleting])
async def test_an_object_with_a_row_stays(yard: Yard, state: AssetState) -> None:
    await yard.picture(await yard.running(), state=state)

    assert await yard.findings("objects") == []


async def test_a_young_object_stays(yard: Yard) -> None:
    yard.rules = PATIENT
    await yard.put("a/b/c.png")

    assert await yard.findings("objects") == []


async def test_a_row_that_appears_after_the_listing_saves_its_object(yard: Yard) -> None:
    generation = await yard.running()
    twin = await yard.picture(generation, state=AssetState.pending)
    await yard.set("asset", twin.id, key="'elsewhere'")
    check = next(check for check in yard.checks() if check.name == "objects")
    (stray,) = (await check.find("")).strays
    await yard.set("asset", twin.id, key=f"'{twin.key}'")

    assert await check.mend(stray) is None
    assert await yard.keys() == [twin.key]


async def test_a_stored_picture_without_an_object_is_reported_once(yard: Yard) -> None:
    generation = await succeeded(yard)
    asset = await yard.picture(generation)
    await yard.storage.delete(asset.key)

    for _ in range(2):
        assert await yard.findings("objects") == [("row_without_object", "reported")]
    assert [(row.kind, row.asset_id) for row in await yard.rows()] == [("row_without_object", asset.id)]
    assert (await yard.asset(asset.id)).state is AssetState.stored


async def test_a_bucket_is_compared_page_by_page_in_the_order_of_its_keys(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from activities.reconciliation import objects

    monkeypatch.setattr(objects, "LOOKED_AT", 3)
    kept = [await yard.picture(await yard.running()) for _ in range(4)]
    lost = [await yard.picture(await yard.running()) for _ in range(4)]
    for asset in lost:
        await yard.storage.delete(asset.key)
    for number in range(4):
        await yard.put(f"Z/{number}.png")
        await yard.put(f"é/{number}.png")
    found, after = [], ""
    while True:
        report = await yard.check("objects", after=after)
        found += [item.kind for item in report.findings]
        after = report.after
        if not after:
            break

    assert (found.count("object_without_row"), found.count("row_without_object")) == (8, 4)
    assert await yard.keys() == sorted(asset.key for asset in kept)


async def test_a_dry_run_removes_nothing(yard: Yard) -> None:
    await yard.put("a/b/c.png")
    await yard.picture(await yard.closed(await yard.running()), state=AssetState.pending)

    assert await yard.findings("objects", dry_run=True) == [("object_without_row", "found")]
    assert await yard.findings("unfinished_assets", dry_run=True) == [("asset_unfinished", "found")]
    assert len(await yard.keys()) == 2
    assert await yard.rows() == []


async def test_a_listing_that_breaks_off_skips_the_check(yard: Yard) -> None:
    class Broken(MemoryStorage):
        async def list_prefix(self, prefix: str, *, after: str = "") -> AsyncIterator[StoredObject]:  # type: ignore[override]
            raise StorageUnavailable(key=prefix + after)
            yield

    yard.tools = replace(yard.tools, storage=Broken())  # type: ignore[arg-type]
    report = await yard.checked("objects", after="somewhere")

    assert (report.skipped, report.after) == ("storage_unavailable", "somewhere")


# Not to be kept


async def reasons(yard: Yard, generation: Generation) -> list[Any]:
    return [event.data.get("reason") for event in await yard.events(generation.id) if event.type == "picture.deleted"]


async def test_pictures_are_kept_for_ever_unless_the_settings_say_otherwise(yard: Yard) -> None:
    generation = await succeeded(yard, session_id="walk")
    asset = await yard.picture(generation)
    await yard.set("asset", asset.id, stored_at="now() - interval '9 years'")
    await yard.set("generation", generation.id, created_at="now() - interval '9 years'")

    assert await yard.findings("retention") == []


async def test_an_old_picture_is_removed_with_its_reason(yard: Yard) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    generation = await succeeded(yard)
    old, young = await yard.picture(generation, body=b"old"), await yard.picture(generation, body=b"young")
    await yard.set("asset", old.id, stored_at="now() - interval '31 days'")

    assert await yard.findings("retention") == [("retention", "removed")]
    assert await reasons(yard, generation) == ["expired"]
    assert await yard.keys() == [young.key]
    assert (await yard.generation(generation.id)).status is Status.succeeded


@pytest.mark.parametrize("service_days", [None, 7, 90])
@pytest.mark.parametrize(("own_days", "age_days", "left"), [(30, 31, 0), (30, 29, 1)])
async def test_a_tenants_own_figure_takes_the_place_of_the_services(
    yard: Yard, service_days: int | None, own_days: int, age_days: int, left: int
) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=service_days) if service_days else None)
    asset = await yard.picture(await succeeded(yard))
    await yard.set("asset", asset.id, stored_at=f"now() - interval '{age_days} days'")
    await yard.set("tenant", yard.tables.tenant_id, keep_pictures_days=str(own_days))

    await yard.findings("retention")

    assert len(await yard.keys()) == left


async def test_an_old_picture_that_somebody_works_from_is_kept_until_they_are_done(yard: Yard) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    asset = await yard.picture(await succeeded(yard))
    await yard.set("asset", asset.id, stored_at="now() - interval '31 days'")
    reader = await yard.running(request={"kind": "scene", "avatar_asset_id": str(asset.id)})

    assert await yard.findings("retention") == []
    await yard.closed(reader)
    assert await yard.findings("retention") == [("retention", "removed")]


async def test_pictures_of_a_generation_in_review_are_never_too_old(yard: Yard) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=1), abandoned=timedelta(days=1))
    generation = await yard.running(session_id="walk")
    asset = await yard.picture(generation)
    await yard.set("asset", asset.id, stored_at="now() - interval '9 days'")
    await yard.set("generation", generation.id, created_at="now() - interval '9 days'", deleted_at="now()")
    await yard.closed(generation, "needs_review")

    assert await yard.findings("retention") == []


async def test_pictures_of_a_deleted_session_go_when_its_time_is_over(yard: Yard) -> None:
    yard.retention = RetentionRules(deleted=timedelta(hours=24))
    generation = await succeeded(yard, session_id="walk")
    await yard.picture(generation)
    await yard.set("generation", generation.id, deleted_at="now() - interval '23 hours'")
    assert await yard.findings("retention") == []
    await yard.set("generation", generation.id, deleted_at="now() - interval '25 hours'")

    assert await yard.findings("retention") == [("retention", "removed")]
    assert await reasons(yard, generation) == ["deleted"]


@pytest.mark.parametrize(("keep", "left"), [(timedelta(0), 0), (timedelta(hours=24), 1)])
async def test_the_deletion_of_a_session_leaves_its_pictures_for_as_long_as_they_are_kept(
    yard: Yard, keep: timedelta, left: int
) -> None:
    generation = await succeeded(yard, session_id="walk")
    await yard.picture(generation)
    await yard.set("generation", generation.id, deleted_at="now()")
    sessions_ = SessionActivities(database=yard.tables.database, keeper=yard.tools.keeper, keep=keep)
    deletion = SessionDeletion(tenant_id=generation.tenant_id, session_id="walk")
    await ActivityEnvironment().run(sessions_.delete_session, deletion)

    assert len(await yard.keys()) == left
    assert await reasons(yard, generation) == ["deleted"] * (1 - left)
    async with yard.tables.database.transaction() as session:
        assert await sessions.undeleted(session, before=now() - keep, limit=10) == [], "nothing is due now"


async def test_a_session_is_abandoned_when_nothing_new_was_asked_for(yard: Yard) -> None:
    yard.retention = RetentionRules(abandoned=timedelta(days=90))
    left, used = await succeeded(yard, session_id="left"), await succeeded(yard, session_id="used")
    alone = await succeeded(yard)
    pictures = [await yard.picture(generation) for generation in (left, used, alone)]
    for generation in (left, used, alone):
        await yard.set("generation", generation.id, created_at="now() - interval '91 days'")
    await succeeded(yard, session_id="used")

    assert await yard.findings("retention") == [("retention", "removed")]
    assert await reasons(yard, left) == ["abandoned"]
    assert await yard.keys() == sorted(picture.key for picture in pictures[1:])


async def test_a_picture_that_came_into_use_after_it_was_found_stays(yard: Yard) -> None:
    yard.retention = RetentionRules(pictures=timedelta(days=30))
    asset = await yard.picture(await succeeded(yard))
    await yard.set("asset", asset.id, stored_at="now() - interval '31 days'")
    check = next(check for check in yard.checks() if check.name == "retention")
    (stray,) = (await check.find("")).strays
    await yard.running(request={"kind": "scene", "avatar_asset_id": str(asset.id)})

    assert await check.mend(stray) is None
    async with yard.tables.database.transaction() as session:
        assert await assets.stored(session, asset.tenant_id, asset.id) is not None
