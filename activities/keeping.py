"""*fetch* and *keep*: download, make fit, store; settle in the same transaction that makes the picture visible."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.accounts import Accounts
from activities.patience import until_written
from activities.store_gate import StoreGate
from activities.stored_form import cost_in, new_asset, new_object
from activities.wanted_form import WantedForm
from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import AssetRole, AssetState
from db import assets, events, forgetting, ledger, lives
from db.columns import now
from db.engine import Database
from db.models import Asset, Spend
from errors import (
    LeaseLost,
    ObjectMissing,
    OutputCorrupt,
    OutputExpired,
    ProviderError,
    ProviderUnavailable,
    StorageError,
)
from imaging.fit import FittedPicture
from imaging.moderation import OutputCheck
from providers.base import FinishedPicture, ImageProvider, JobReport, RemoteFile
from storage.base import ObjectStorage, StoredObject

log = structlog.get_logger(__name__)

# PNG with noise takes three bytes a pixel: 50 MB for the largest upscaled picture, 25 MB for the largest of the others.
LARGEST_PICTURE_BYTES = 60_000_000
# Replicate deletes outputs after an hour. Before that, "not there" means not there yet, or not there for us.
OUTPUTS_KEPT = timedelta(minutes=55)

Condition = Callable[[AsyncSession], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class KeepingRules:
    """`at_once`: pictures in memory at the same time, so that memory stays bounded however many jobs wait.

    `answers_at_once`: purchases under way whose answer is the picture itself. They take up to three minutes each, and an
    outage of the store makes their answers wait in memory: about 4 MB each, half a gigabyte at most.
    """

    at_once: int = 8
    answers_at_once: int = 128
    downloads: int = 3  # of a picture that arrived broken
    # How long a paid picture waits for a store that is full or away: up to its deadline and this much longer,
    after_deadline_s: float = 60.0
    # and, where it exists in memory only, no shorter than this.
    at_least_s: float = 300.0


class Keeper:
    """Moves pictures from providers into the store."""

    def __init__(
        self,
        database: Database,
        storage: ObjectStorage,
        providers: Mapping[str, ImageProvider],
        rules: KeepingRules,
        output_check: OutputCheck | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._accounts = Accounts.over(providers)
        self._rules = rules
        self._output_check = output_check
        self._room = asyncio.Semaphore(rules.at_once)
        self.gate = StoreGate(storage, at_once=rules.answers_at_once)

    async def kept(self, order: PictureOrder, spend: Spend, report: JobReport | None, form: WantedForm) -> PictureMade:
        """Fetch the finished picture, store it and settle. OutputExpired and its kin: paid, but there is no picture.

        Where the provider names no cost, that is what was expected when it was bought: today's catalog may not have the model.
        """
        asset = await self._moved(spend, report, form)
        told = spend.cost_usd if report is None else report.cost_usd
        costs = (told, spend.likely_usd, spend.hold_usd)
        made = PictureMade(
            step=order.step,
            asset=assets.reference(asset),
            provider=spend.provider,
            model=spend.model,
            cost_usd=next(known for known in costs if known is not None),
            adjustments=order.candidate.adjustments,
        )
        try:
            await self._settle(spend, made, order)
        except LeaseLost:
            await self._remove_if_taken_back(asset)
            raise
        return made

    async def keep_raw(self, spend: Spend, answer: FinishedPicture) -> Spend:
        """Write a synchronous provider's answer to the store before anything else is done with it: it is the only copy.

        Raises StorageError when the store was full or away for so long that the picture must be given up.
        """
        sha256 = hashlib.sha256(answer.body).hexdigest()
        picture = FittedPicture(body=answer.body, content_type=answer.content_type, width=0, height=0, sha256=sha256)
        row = new_asset(spend, picture, AssetRole.raw)

        async def write() -> Spend:
            stored = await self._store(row, answer.body, cost_usd=answer.cost_usd)
            return await self._answer_stored(spend, stored, answer.cost_usd)

        hope = max(self._last_hope(spend), now() + timedelta(seconds=self._rules.at_least_s))
        return await until_written(write, until=hope)

    async def found_raw(self, spend: Spend) -> Spend | None:
        """sent -> submitted with an answer that an earlier attempt put into the store and could not write down any more.

        None: there is no such answer. What the provider said it costs lies with the object. Raises StorageUnavailable.
        """
        async with self._database.transaction() as session:
            rows = await assets.raw_of_spend(session, spend.id)
        for row in rows:
            found = await self._object_of(row)
            if found is not None:
                return await self._answer_stored(spend, row, cost_in(found))
        return None

    async def _object_of(self, row: Asset) -> StoredObject | None:
        """The row's object, when it is there and whole."""
        try:
            found = await self._storage.stat(row.key)
        except ObjectMissing:
            return None
        return found if (found.size_bytes, found.sha256) == (row.size_bytes, row.sha256) else None

    async def _answer_stored(self, spend: Spend, row: Asset, cost_usd: Decimal | None) -> Spend:
        async with self._database.transaction("raw.stored") as session:
            moved = await record_submitted(session, spend, raw_asset_id=row.id, cost_usd=cost_usd)
            if not await assets.mark(session, row.id, AssetState.stored):
                raise LeaseLost
        return moved

    def may_wait(self, spend: Spend) -> bool:
        """Whether a finished picture may still wait for room in the store."""
        return now() < self._last_hope(spend)

    def _last_hope(self, spend: Spend) -> datetime:
        return spend.deadline_at + timedelta(seconds=self._rules.after_deadline_s)

    async def tidy(self, spend: Spend) -> None:
        """Remove the raw answer of a purchase that has ended; harmless when there is none."""
        if spend.raw_asset_id is not None:
            await self.remove(spend.raw_asset_id)

    async def remove(self, asset_id: UUID, *, reason: str | None = None, when: Condition | None = None) -> bool:
        """Delete an asset's object, verify that it is gone, then say so on its row. False when it was not there.

        `reason` is a word for the event: why a picture goes that had been a result. `when` is asked in the transaction that
        decides, while nobody can begin to work with the picture: unless it is still true, the picture stays.
        """
        async with self._database.transaction("asset.deleting") as session:
            asset = await session.get(Asset, asset_id, with_for_update=True)
            if asset is None or (when is not None and not await when(session)):
                return False
            if not await assets.mark(session, asset_id, AssetState.deleting):
                return False
        await self.remove_object(asset.key)
        async with self._database.transaction("asset.deleted") as session:
            owner = asset.generation_id
            generation = None if owner is None else await lives.read(session, owner, lock=True)
            if not await assets.end(session, asset_id):
                return False  # somebody else was quicker, and has told of it
            if generation is not None and generation.erasure_id is not None:
                await forgetting.redact_asset(session, asset_id)
            if asset.role not in {AssetRole.raw, AssetRole.partial} and owner is not None:
                data = {"step": asset.step, "asset_id": str(asset.id)} | ({"reason": reason} if reason else {})
                await events.append(session, owner, "picture.deleted", data)
        return True

    async def remove_object(self, key: str) -> None:
        """Delete an object and verify that it is gone. Raises StorageError when it is not."""
        await self._storage.delete(key)
        if await self.has_object(key):
            raise StorageError("the object is still there after it was deleted")

    async def has_object(self, key: str) -> bool:
        """Whether the store has it."""
        try:
            await self._storage.stat(key)
        except ObjectMissing:
            return False
        return True

    async def _moved(self, spend: Spend, report: JobReport | None, form: WantedForm) -> Asset:
        downloads = 1 if report is None else self._rules.downloads  # our own store does not cut pictures
        for download in range(1, downloads + 1):
            try:
                async with self._room:
                    picture = await asyncio.to_thread(self._formed, form, await self._bytes(spend, report))
                    return await self._store(new_asset(spend, picture, AssetRole.picture), picture.body)
            except OutputCorrupt:  # the file may have been cut on its way
                if download == downloads:
                    raise
                log.info("picture.fetch_again", provider=spend.provider, download=download)
                await asyncio.sleep(0.3 * 2**download)
        raise AssertionError

    async def check(self, body: bytes) -> None:
        """Looks at a picture, in one of the places for them. Raises OutputRefused for one that may not be shown."""
        if self._output_check is not None:
            async with self._room:
                await asyncio.to_thread(self._output_check.check, body)

    def _formed(self, form: WantedForm, body: bytes) -> FittedPicture:
        picture = form.made_from(body)
        if self._output_check is not None:
            self._output_check.check(picture.body)
        return picture

    async def _remove_if_taken_back(self, asset: Asset) -> None:
        """An undo that came between our put and our settling found no object: then ours is the one that is left."""
        async with self._database.transaction() as session:
            row = await session.get(Asset, asset.id)
        if row is not None and row.state is AssetState.deleted:
            await self._storage.delete(asset.key)

    async def _bytes(self, spend: Spend, report: JobReport | None) -> bytes:
        if report is not None:
            if not report.outputs:
                raise ProviderError("the provider says that it succeeded, but gave no picture", billed="yes")
            return await self._downloaded(spend, report.outputs[0])
        async with self._database.transaction() as session:
            raw = await session.get(Asset, spend.raw_asset_id)
        if raw is None:
            raise StorageError("the provider's answer is not in the store")
        return b"".join([chunk async for chunk in await self._storage.get(raw.key)])

    async def _downloaded(self, spend: Spend, output: RemoteFile) -> bytes:
        try:
            provider = await self._accounts.of(spend)
            return await provider.fetch_output(output, max_bytes=LARGEST_PICTURE_BYTES)
        except OutputExpired:
            if spend.submitted_at is not None and now() - spend.submitted_at < OUTPUTS_KEPT:
                raise ProviderUnavailable from None  # to be tried again, and by no means to be bought again
            raise

    async def _store(self, row: Asset, body: bytes, *, cost_usd: Decimal | None = None) -> Asset:
        async with self._database.statement("asset.pending") as session:
            asset = await assets.announce(session, row)
        await self._storage.put(new_object(asset, cost_usd), _one_chunk(body), len(body))
        return asset

    async def _settle(self, spend: Spend, made: PictureMade, order: PictureOrder) -> None:
        data: dict[str, Any] = {"step": made.step, "asset_id": str(made.asset.asset_id), "cost_usd": str(made.cost_usd)}
        data |= {"provider": made.provider, "model": made.model}
        if made.adjustments:
            data["adjustments"] = [adjustment.model_dump(mode="json") for adjustment in made.adjustments]
        stage, progress = f"{made.step}: stored", order.overall(1.0)
        async with self._database.transaction("picture.stored") as session:
            # The event first: all who write to more than one row lock the generation's before others, or they could deadlock.
            await events.append(session, spend.generation_id, "picture.stored", data, stage=stage, progress=progress)
            await ledger.settle(session, spend, cost_usd=made.cost_usd, asset_id=made.asset.asset_id)
            if not await assets.mark(session, made.asset.asset_id, AssetState.stored):
                raise LeaseLost
            if order.beside:
                await lives.count_progress(session, spend.generation_id, pictures=order.parts)


async def record_submitted(
    session: AsyncSession,
    spend: Spend,
    *,
    job_id: str | None = None,
    raw_asset_id: UUID | None = None,
    cost_usd: Decimal | None = None,
) -> Spend:
    """sent -> submitted, and the event that tells of it."""
    data = {"step": spend.step, "provider": spend.provider, "model": spend.model, "purchase": spend.purchase}
    stage = f"{spend.step}: waiting for {spend.provider}"
    await events.append(session, spend.generation_id, "picture.submitted", data, stage=stage)
    return await ledger.mark_submitted(session, spend, job_id=job_id, raw_asset_id=raw_asset_id, cost_usd=cost_usd)


async def _one_chunk(body: bytes) -> AsyncIterator[bytes]:
    yield body
