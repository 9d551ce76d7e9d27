"""*fetch* and *keep*: download, make fit, store; settle in the same transaction that makes the picture visible."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import structlog

from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import AssetRole, AssetState
from db import assets, events, ledger
from db.engine import Database
from db.models import Asset, Spend
from errors import DatabaseUnavailable, ObjectMissing, OutputCorrupt, ProviderError, ProviderUnavailable, StorageError
from imaging.fit import FittedPicture, fit
from providers.base import FinishedPicture, ImageProvider, JobReport
from storage.base import NewObject, ObjectStorage, object_key

log = structlog.get_logger(__name__)

# The largest picture of the catalog, 3840x2160 PNG with noise, has about 25 MB.
LARGEST_PICTURE_BYTES = 40_000_000
# How long the only copy of a paid picture is held in memory for a store that is away. Seconds between tries.
RAW_RETRY_DELAYS_S = (0.5, 1, 2, 5, 10, 20, 30, 30, 30, 30, 30, 30, 30)


@dataclass(frozen=True, slots=True)
class KeepingRules:
    """`at_once`: pictures in memory at the same time, so that memory stays bounded however many jobs wait."""

    at_once: int = 8
    downloads: int = 4  # tries to download a picture that is paid already


class Keeper:
    """Moves pictures from providers into the store."""

    def __init__(
        self,
        database: Database,
        storage: ObjectStorage,
        providers: Mapping[str, ImageProvider],
        rules: KeepingRules,
    ) -> None:
        self._database = database
        self._storage = storage
        self._providers = providers
        self._rules = rules
        self._room = asyncio.Semaphore(rules.at_once)

    async def kept(
        self, order: PictureOrder, spend: Spend, report: JobReport | None, size: tuple[int, int] | None, price: Decimal
    ) -> PictureMade:
        """Fetch the finished picture, store it and settle. OutputExpired/OutputCorrupt: paid, but there is no picture."""
        async with self._room:
            picture = await self._fetched(spend, report, size)
            asset = await self._store(_asset(spend, picture, AssetRole.picture), picture.body)
        cost = report.cost_usd if report and report.cost_usd is not None else price
        made = PictureMade(
            step=order.step,
            asset=assets.reference(asset),
            provider=spend.provider,
            model=spend.model,
            cost_usd=cost,
        )
        await self._settle(spend, made)
        if spend.raw_asset_id:
            await self.remove(spend.raw_asset_id)
        return made

    async def keep_raw(self, spend: Spend, answer: FinishedPicture) -> UUID:
        """Write a synchronous provider's answer to the store before anything else is done with it."""
        sha256 = hashlib.sha256(answer.body).hexdigest()
        picture = FittedPicture(body=answer.body, content_type=answer.content_type, width=0, height=0, sha256=sha256)
        row = _asset(spend, picture, AssetRole.raw)
        for delay_s in RAW_RETRY_DELAYS_S:
            try:
                stored = await self._store(row, answer.body)
                async with self._database.transaction() as session:
                    await assets.mark(session, stored.id, AssetState.stored)
                return stored.id
            except (StorageError, DatabaseUnavailable) as error:
                log.warning("picture.raw_not_stored_yet", error=error.code, delay_s=delay_s)
                await asyncio.sleep(delay_s)
        return (await self._store(row, answer.body)).id

    async def remove(self, asset_id: UUID) -> bool:
        """Delete an asset's object, verify that it is gone, then say so on its row. False when it was not there."""
        async with self._database.transaction() as session:
            asset = await session.get(Asset, asset_id)
            if asset is None or not await assets.mark(session, asset_id, AssetState.deleting):
                return False
        await self._storage.delete(asset.key)
        if await self._exists(asset.key):
            raise StorageError("the object is still there after it was deleted")
        async with self._database.transaction() as session:
            await assets.mark(session, asset_id, AssetState.deleted)
            if asset.role is not AssetRole.raw and asset.generation_id is not None:
                data = {"step": asset.step, "asset_id": str(asset.id)}
                await events.append(session, asset.generation_id, "picture.deleted", data)
        return True

    async def _exists(self, key: str) -> bool:
        try:
            await self._storage.stat(key)
        except ObjectMissing:
            return False
        return True

    async def _fetched(self, spend: Spend, report: JobReport | None, size: tuple[int, int] | None) -> FittedPicture:
        for attempt in range(1, self._rules.downloads + 1):
            try:
                data = await self._bytes(spend, report)
                return await asyncio.to_thread(fit, data, size)
            except (OutputCorrupt, ProviderUnavailable) as error:  # the file may have been cut on its way
                if attempt == self._rules.downloads:
                    raise
                log.info("picture.fetch_again", provider=spend.provider, code=error.code, attempt=attempt)
                await asyncio.sleep(0.3 * 2**attempt)
        raise AssertionError

    async def _bytes(self, spend: Spend, report: JobReport | None) -> bytes:
        if report is not None:
            if not report.outputs:
                raise ProviderError("the provider says that it succeeded, but gave no picture", billed="yes")
            provider = self._providers[spend.provider]
            return await provider.fetch_output(report.outputs[0], max_bytes=LARGEST_PICTURE_BYTES)
        async with self._database.transaction() as session:
            raw = await session.get(Asset, spend.raw_asset_id)
        if raw is None:
            raise StorageError("the provider's answer is not in the store")
        return b"".join([chunk async for chunk in await self._storage.get(raw.key)])

    async def _store(self, row: Asset, body: bytes) -> Asset:
        async with self._database.transaction() as session:
            asset = await assets.announce(session, row)
        words = {"generation": str(row.generation_id), "step": str(row.step), "model": row.model or ""}
        words["prompt-hash"] = (row.prompt_hash or "")[:16]
        new = NewObject(key=asset.key, content_type=row.content_type, metadata=words, tags=words, sha256=row.sha256)
        await self._storage.put(new, _one_chunk(body), len(body))
        return asset

    async def _settle(self, spend: Spend, made: PictureMade) -> None:
        data = {"step": made.step, "asset_id": str(made.asset.asset_id), "cost_usd": str(made.cost_usd)}
        data |= {"provider": made.provider, "model": made.model}
        async with self._database.transaction() as session:
            await ledger.settle(session, spend, cost_usd=made.cost_usd, asset_id=made.asset.asset_id)
            await assets.mark(session, made.asset.asset_id, AssetState.stored)
            stage = f"{made.step}: stored"
            await events.append(session, spend.generation_id, "picture.stored", data, stage=stage)


def _asset(spend: Spend, picture: FittedPicture, role: AssetRole) -> Asset:
    step = spend.step if role is AssetRole.picture else f"{spend.step}-raw"
    key = object_key(spend.tenant_id, spend.generation_id, step, picture.sha256, picture.content_type)
    return Asset(
        tenant_id=spend.tenant_id,
        generation_id=spend.generation_id,
        step=spend.step,
        role=role,
        key=key,
        content_type=picture.content_type,
        size_bytes=len(picture.body),
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        provider=spend.provider,
        model=spend.model,
        prompt_name=spend.prompt_name,
        prompt_version=spend.prompt_version,
        prompt_hash=spend.prompt_hash,
    )


async def _one_chunk(body: bytes) -> AsyncIterator[bytes]:
    yield body
