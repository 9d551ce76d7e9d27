"""Pictures that clients bring: fetched safely, proved to be pictures, stored under a row of their own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from api.safe_fetch import MAX_BYTES, SafeFetcher
from contracts.statuses import AssetRole, AssetState, Step
from db import assets, input_assets
from db.engine import Database
from db.models import Asset
from errors import DioramaError
from imaging.inspect import PictureFacts, inspect
from storage.base import NewObject, ObjectStorage, object_key

log = structlog.get_logger(__name__)

# The client waits for its answer meanwhile.
TAKE_BACK_S = 2


@dataclass(frozen=True, slots=True)
class InputPicture:
    """A client's picture, whole and decodable."""

    body: bytes
    facts: PictureFacts
    sha256: str


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


class InputPictures:
    """Brings clients' pictures in; nothing is left behind when their generation, or their upload, is not accepted."""

    def __init__(self, *, database: Database, storage: ObjectStorage, fetcher: SafeFetcher) -> None:
        self._database = database
        self._storage = storage
        self._fetcher = fetcher

    async def fetch(self, url: str) -> InputPicture:
        """The picture behind a URL; nothing is written. Raises errors of the ImageRejected branch."""
        return await self._proved(await self._fetcher.fetch(url))

    async def uploaded(self, body: bytes, *, tenant_id: UUID) -> Asset:
        """The client's own picture, stored, for any of its generations; the same bytes give the same picture again.

        It goes when no generation has used it within a day (see db/retention.py). Raises errors of the ImageRejected branch,
        DatabaseUnavailable, StorageUnavailable, and ServiceUnavailable when it was taken back meanwhile.
        """
        picture = await self._proved(body)
        async with self._database.transaction("upload.pending") as session:
            same = {"sha256": picture.sha256, "content_type": picture.facts.content_type}
            if known := await input_assets.known_upload(session, tenant_id, **same):
                return known
            asset = await assets.announce(session, self._row(picture, tenant_id, folder=uuid4()))
        try:
            await self._put(asset, picture)
            async with self._database.transaction("upload.stored") as session:
                return await input_assets.keep_upload(session, asset.id)
        except BaseException:
            await asyncio.shield(self.take_back(asset))
            raise

    @asynccontextmanager
    async def stored(self, picture: InputPicture, *, tenant_id: UUID, generation_id: UUID) -> AsyncIterator[Asset]:
        """The picture in the store, under a row that is still pending: the block must make both the generation's own.

        When the block fails or is canceled, object and row are taken back.
        """
        asset = self._row(picture, tenant_id, folder=generation_id)
        async with self._database.transaction("input.pending") as session:
            await assets.announce(session, asset)
        try:
            await self._put(asset, picture)
            yield asset
        except BaseException:
            await asyncio.shield(self.take_back(asset))
            raise

    async def take_back(self, asset: Asset) -> None:
        """Delete the object, then the row. What cannot be deleted now stays `pending` or `deleting`, for the reconciler.

        A commit whose answer was lost may have made the picture a generation's own: then nothing is deleted.
        """
        try:
            async with self._database.transaction("input.deleting") as session:
                if not await input_assets.abandon(session, asset.id):
                    return
            async with asyncio.timeout(TAKE_BACK_S):
                await self._storage.delete(asset.key)
            async with self._database.transaction("input.deleted") as session:
                await assets.mark(session, asset.id, AssetState.deleted)
        except (DioramaError, TimeoutError) as error:
            log.warning("input_picture.left_behind", asset=str(asset.id), error=type(error).__name__)

    @staticmethod
    async def _proved(body: bytes) -> InputPicture:
        facts = await asyncio.to_thread(inspect, body, max_bytes=MAX_BYTES)
        return InputPicture(body, facts, hashlib.sha256(body).hexdigest())

    async def _put(self, asset: Asset, picture: InputPicture) -> None:
        words = {"generation": str(asset.key).split("/")[1], "step": asset.step.value}
        new = NewObject(
            key=asset.key, content_type=asset.content_type, sha256=picture.sha256, metadata=words, tags=words
        )
        await self._storage.put(new, _whole(picture.body), len(picture.body))

    @staticmethod
    def _row(picture: InputPicture, tenant_id: UUID, *, folder: UUID) -> Asset:
        """`folder`: its generation's, or one of its own, as the key of a picture that was deleted is not used again."""
        facts = picture.facts
        return Asset(
            tenant_id=tenant_id,
            step=Step.input,
            role=AssetRole.input,
            key=object_key(tenant_id, folder, Step.input, picture.sha256, facts.content_type),
            content_type=facts.content_type,
            size_bytes=len(picture.body),
            sha256=picture.sha256,
            width=facts.width,
            height=facts.height,
        )
