"""Erasing by itself: what of a generation goes, what stays, and when a receipt is written."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.erasing import ErasureActivities
from contracts.erasures import ErasureOrder, ErasureSubject, Receipt
from contracts.receipts import Receipts
from contracts.statuses import AssetRole, AssetState, Billed, Status
from db import corrections, erasures, events, ledger
from db.audit import SERVICE
from db.erasures import Begun, Wish
from db.models import Asset, Generation
from db.protection_models import Erasure
from db.tables import METADATA
from errors import StorageError
from tests.integration.reconciler.yard import Yard

RECEIPTS = Receipts("a secret of the tests")
ANNA = {"user_id": "anna", "session_id": "walk", "tags": ["anna"], "idempotency_key": "anna-1"}
WORDS = {"kind": "avatar", "avatar": {"description": "anna by the sea", "size": "native"}, "quality": "low"}


class Eraser:
    """The activities over the yard's tables and store."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.activities = ErasureActivities(
            database=yard.tables.database, storage=yard.storage, keeper=yard.tools.keeper, receipts=RECEIPTS
        )

    async def begin(self, user_id: str = "anna") -> Begun:
        tenant_id = self.yard.tables.tenant_id
        hashed = RECEIPTS.subject_hash(tenant_id, ErasureSubject.user, user_id)
        wish = Wish(tenant_id, ErasureSubject.user, user_id, hashed)
        async with self.yard.tables.database.transaction() as session:
            return await erasures.begin(session, SERVICE, wish)

    def order(self, begun: Begun) -> ErasureOrder:
        return ErasureOrder(erasure_id=begun.erasure.id, tenant_id=begun.erasure.tenant_id)

    async def erase(self, begun: Begun) -> int:
        running: int = await ActivityEnvironment().run(self.activities.erase, self.order(begun))
        return running

    async def attest(self, begun: Begun) -> bool:
        verified: bool = await ActivityEnvironment().run(self.activities.attest, self.order(begun))
        return verified

    async def receipt(self, begun: Begun) -> Receipt | None:
        async with self.yard.tables.database.transaction() as session:
            row = await session.get_one(Erasure, begun.erasure.id)
        return Receipt.model_validate(row.receipt) if row.receipt else None

    async def rows_with(self, word: str) -> list[str]:
        found: list[str] = []
        async with self.yard.tables.database.transaction() as session:
            connection = await session.connection()
            for table in METADATA.tables:
                query = text(f'select t::text from "{table}" t where t::text like :word')  # noqa: S608 our own tables
                found += [
                    f"{table}: {row}" for row in (await connection.execute(query, {"word": f"%{word}%"})).scalars()
                ]
        return found


def name_of(picture: Asset) -> str:
    """The last part of its key, which its hash is in."""
    return picture.key.rpartition("/")[2]


async def annas(yard: Yard, **fields: Any) -> Generation:
    return await yard.running(**({"request": WORDS, "acceptance": {"note": "anna"}} | ANNA | fields))


async def test_pictures_and_words_go_and_amounts_stay(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    spend = await yard.sent(await yard.held(generation))
    async with yard.tables.database.transaction() as session:
        await ledger.settle(session, spend, cost_usd=Decimal("0.04"))
    roles = (AssetRole.picture, AssetRole.raw, AssetRole.partial)
    pictures = [await yard.picture(generation, role=role, body=role.encode()) for role in roles]
    pictures.append(await yard.picture(generation, state=AssetState.deleting, body=b"half gone"))
    result = '\'{"pictures": [{"note": "anna"}]}\''
    ended = {"status": "'succeeded'", "finished_at": "now()", "cost_usd": "0.04", "result": result}
    await yard.set("generation", generation.id, **ended)

    begun = await eraser.begin()
    assert await eraser.erase(begun) == 0
    assert await eraser.attest(begun)

    assert await eraser.rows_with("anna") == []
    for picture in pictures:
        assert await eraser.rows_with(picture.sha256[:16]) == await eraser.rows_with(name_of(picture)) == []
    assert await yard.keys() == []
    row, (bought,) = await yard.generation(generation.id), await yard.spends(generation.id)
    assert (row.cost_usd, row.status, bought.cost_usd) == (Decimal("0.04"), Status.succeeded, Decimal("0.04"))
    assert row.request == {"kind": "avatar", "erased": True}
    receipt = await eraser.receipt(begun)
    assert receipt is not None
    assert RECEIPTS.wrote(receipt)
    assert (receipt.generations, receipt.pictures, receipt.objects_removed) == (1, 2, 4)
    assert receipt.rows_redacted >= 3


async def test_what_still_runs_is_waited_for_and_what_was_deleted_before_is_erased_too(yard: Yard) -> None:
    eraser = Eraser(yard)
    live = await annas(yard)
    gone = await yard.closed(await annas(yard, idempotency_key=None))
    await yard.set("generation", gone.id, deleted_at="now()")

    begun = await eraser.begin()

    assert [one.id for one in begun.live] == [live.id]
    assert (await yard.generation(live.id)).cancel_requested_at is not None
    assert (await yard.generation(live.id)).deleted_at is not None
    assert await eraser.erase(begun) == 1
    assert not await eraser.attest(begun)
    assert (await yard.generation(gone.id)).request == {"kind": "avatar", "erased": True}
    await yard.closed(live, "canceled")
    assert await eraser.erase(begun) == 0
    assert await eraser.attest(begun)


async def test_no_receipt_is_written_while_the_store_shows_a_file_that_no_row_knows(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    await yard.closed(generation)
    begun = await eraser.begin()
    await eraser.erase(begun)
    await yard.put(f"{generation.tenant_id}/{generation.id}/avatar-0000000000000000.png")

    assert not await eraser.attest(begun)
    assert await eraser.receipt(begun) is None


async def test_a_word_that_comes_in_late_is_found_and_removed(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    await yard.closed(generation)
    begun = await eraser.begin()
    await eraser.erase(begun)
    await yard.set("generation", generation.id, error='\'{"detail": "anna"}\'')

    assert not await eraser.attest(begun)
    await eraser.erase(begun)
    assert await eraser.attest(begun)
    assert await eraser.rows_with("anna") == []


async def test_a_wish_that_is_repeated_while_it_is_carried_out_is_the_same_with_what_came_in_between(
    yard: Yard,
) -> None:
    eraser, first = Eraser(yard), await annas(yard)
    begun = await eraser.begin()
    second = await annas(yard, idempotency_key="anna-2")

    again = await eraser.begin()

    assert again.erasure.id == begun.erasure.id
    assert [one.id for one in again.live] == [second.id]
    for generation in (first, second):
        await yard.closed(generation, "canceled")
    await eraser.erase(begun)
    assert await eraser.attest(begun)
    assert (await eraser.begin()).erasure.id != begun.erasure.id, "what was verified is over"


async def test_a_user_of_the_same_name_at_another_tenant_is_somebody_else(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    stranger = Wish(UUID(int=7), ErasureSubject.user, "anna", "0" * 64)

    async with yard.tables.database.transaction() as session:
        await (await session.connection()).execute(
            text("insert into tenant (id, name, created_at) values (:id, 'stranger', now())"),
            {"id": stranger.tenant_id},
        )
        begun = await erasures.begin(session, SERVICE, stranger)

    assert begun.live == []
    assert (await yard.generation(generation.id)).deleted_at is None
    assert await eraser.attest(begun)


async def test_an_upload_goes_with_the_only_ones_who_started_from_it(yard: Yard) -> None:
    eraser = Eraser(yard)
    only = await yard.picture(None, role=AssetRole.input, body=b"only")
    shared = await yard.picture(None, role=AssetRole.input, body=b"shared")
    both = {"kind": "image", "prompt": "like these", "image_asset_ids": [str(only.id), str(shared.id)]}
    for key in ("anna-1", "anna-2"):
        await yard.closed(await annas(yard, request=both, idempotency_key=key), "canceled")
    theirs = {"kind": "enhance", "image_asset_id": str(shared.id)}
    await yard.closed(await yard.running(request=theirs, user_id="berta"), "canceled")

    begun = await eraser.begin()
    await eraser.erase(begun)

    assert await eraser.attest(begun)
    assert await yard.keys() == [shared.key]
    assert (await yard.asset(shared.id)).generation_id is None
    assert await eraser.rows_with(name_of(only)) == []


async def test_no_receipt_is_written_while_an_upload_is_in_the_store_again(yard: Yard) -> None:
    eraser = Eraser(yard)
    upload = await yard.picture(None, role=AssetRole.input, body=b"only")
    starts_from = {"kind": "image", "prompt": "like this", "image_asset_ids": [str(upload.id)]}
    await yard.closed(await annas(yard, request=starts_from), "canceled")
    begun = await eraser.begin()
    await eraser.erase(begun)
    await yard.put(upload.key)

    assert not await eraser.attest(begun)


async def test_one_object_that_cannot_be_removed_does_not_keep_those_behind_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    eraser, first = Eraser(yard), await annas(yard)
    second = await annas(yard, idempotency_key="anna-2")
    poison = await yard.picture(first, body=b"poison")
    for generation in (first, second):
        await yard.closed(generation)
    delete = yard.storage.delete

    async def refuse_one(key: str) -> None:
        if key == poison.key:
            raise StorageError("the object is locked")
        await delete(key)

    monkeypatch.setattr(yard.storage, "delete", refuse_one)
    begun = await eraser.begin()
    with pytest.raises(ApplicationError, match="locked"):
        await eraser.erase(begun)
    assert (await yard.generation(first.id)).request == WORDS
    assert (await yard.generation(second.id)).request == {"kind": "avatar", "erased": True}

    monkeypatch.undo()
    await eraser.erase(begun)
    assert await eraser.attest(begun)


async def test_words_do_not_come_back_with_a_job_that_was_found_before_they_were_erased(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    spend = await yard.held(generation)
    await yard.closed(generation)
    await yard.set("spend", spend.id, prompt="'anna by the sea'", prompt_hash="'anna-hash'")
    found = await yard.spend(generation.id)
    begun = await eraser.begin()
    await eraser.erase(begun)
    assert await eraser.attest(begun)

    async with yard.tables.database.transaction() as session:
        await corrections.locked(session, generation.id)
        how: dict[str, Any] = {"billed": Billed.yes, "cost_usd": Decimal("0.01")}
        stray = await corrections.record_stray(session, found, job_id="astray", **how)

    assert stray is not None
    assert stray.prompt == ""
    assert await eraser.rows_with("anna") == []


async def test_what_is_told_of_somebody_after_they_were_erased_has_no_words(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    await yard.closed(generation)
    begun = await eraser.begin()
    await eraser.erase(begun)
    assert await eraser.attest(begun)

    async with yard.tables.database.transaction() as session:
        seq = await events.append(session, generation.id, "reconciler.late", {"about": "anna"}, stage="drawing anna")
        (told,) = await events.after(session, generation.id, seq - 1)

    assert (told.type, told.data) == ("reconciler.late", {})
    assert await eraser.rows_with("anna") == []
    assert await eraser.attest(begun)


async def test_a_picture_that_a_late_attempt_put_there_is_forgotten_when_it_is_removed(yard: Yard) -> None:
    eraser, generation = Eraser(yard), await annas(yard)
    await yard.closed(generation)
    begun = await eraser.begin()
    await eraser.erase(begun)
    assert await eraser.attest(begun)
    late = await yard.picture(generation, state=AssetState.pending, body=b"late")

    assert await yard.tools.keeper.remove(late.id)

    assert await eraser.rows_with(late.sha256[:16]) == await eraser.rows_with(name_of(late)) == []
