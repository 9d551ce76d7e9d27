"""A store of the running stack that is full: its volume gets a limit, and is filled up to it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from deploy.binaries import store_program
from deploy.local import LocalStack
from deploy.store import META_URL
from errors import StorageFull
from storage.base import NewObject
from storage.bodies import chunks_of
from storage.minio_storage import MinioStorage

FILLER = "filler"
ROOM_MIB = 8  # what lies in the store already stays
MIB = 2**20
SIZES = (MIB, 64 * 1024, 4096)  # the last is the smallest that the volume counts


@asynccontextmanager
async def full_store(stack: LocalStack, storage: MinioStorage) -> AsyncIterator[None]:
    """The store takes nothing more until the block ends, or `make_room` is called. It restarts before and after."""
    await _limit(stack, ROOM_MIB)
    try:
        await _fill(storage)
        yield
    finally:
        await make_room(storage)
        await _limit(stack, None)


async def make_room(storage: MinioStorage) -> None:
    """Take the filler away."""
    for key in [found.key async for found in storage.list_prefix(f"{FILLER}/")]:
        await storage.delete(key)


async def _fill(storage: MinioStorage) -> None:
    for size in SIZES:
        for number in count():
            body = bytes(size)
            sha256 = hashlib.sha256(body).hexdigest()
            key = f"{FILLER}/{size}-{number}.bin"
            new = NewObject(key=key, content_type="application/octet-stream", sha256=sha256)
            try:
                await storage.put(new, chunks_of(body), size)
            except StorageFull:
                break


async def _limit(stack: LocalStack, room_mib: int | None) -> None:
    """Only while the gateway is down: its database lets one process in."""
    folder = stack.root / "store"
    await stack.stop_service("store")
    used_mib = json.loads(await _juicefs(folder, "status", "--more", META_URL))["Stat"]["UsedSpace"] // MIB
    capacity = f"{used_mib + room_mib}M" if room_mib else "0"
    await _juicefs(folder, "config", META_URL, "--yes", "--capacity", capacity)
    await stack.start_service("store")


async def _juicefs(folder: Path, *words: Any) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(store_program(), *words, cwd=folder, stdout=pipe, stderr=pipe)
    said, trouble = await process.communicate()
    assert process.returncode == 0, trouble.decode()
    return said.decode()
