"""PostgreSQL, the engine and the store as they really are, and the settings of an API in front of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import SecretStr

from config import Settings
from deploy.local import LocalStack, StackOptions
from storage.minio_storage import MinioStorage
from tests.integration.api.running_api import RunningApi, running_api, settings_for

SERVERS = frozenset({"postgres", "migrations", "temporal", "store"})


@asynccontextmanager
async def real_servers(folder: Path, **more: Any) -> AsyncIterator[Settings]:
    """Started in a folder of their own, without waiting for the disk, and ended with the block."""
    async with LocalStack(folder, services=SERVERS, options=StackOptions(fsync=False)) as stack:
        variables = stack.environment()
        yield settings_for(
            variables["DIORAMA_DATABASE_URL"],
            variables["DIORAMA_TEMPORAL_ADDRESS"],
            store_endpoint=variables["DIORAMA_STORE_ENDPOINT"],
            store_access_key=variables["DIORAMA_STORE_ACCESS_KEY"],
            store_secret_key=SecretStr(variables["DIORAMA_STORE_SECRET_KEY"]),
            store_bucket=variables["DIORAMA_STORE_BUCKET"],
            **more,
        )


@asynccontextmanager
async def api_in_front(settings: Settings, *, more: Sequence[APIRouter] = ()) -> AsyncIterator[RunningApi]:
    """An API on a real socket, with the store of these settings. No worker: what is accepted stays as it is."""
    storage = MinioStorage(
        endpoint=settings.store_endpoint,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key.get_secret_value(),
        bucket=settings.store_bucket,
    )
    await storage.prepare()
    async with running_api(settings, storage, more=more) as api:
        yield api
