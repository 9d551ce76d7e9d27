"""Side doors: what happens to a service in life although no client asks for it, done on purpose by a scenario."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx

from db.engine import Database
from storage.minio_storage import MinioStorage
from tests.crash.keeper import Keeper
from tests.crash.webhook_listener import WebhookListener


@dataclass(frozen=True, slots=True)
class Doors:
    """What a scenario may reach behind the API's back."""

    tenant_id: UUID
    operator_key: str
    database: Database
    storage: MinioStorage
    keeper: Keeper
    sandbox: httpx.AsyncClient
    sandbox_folder: Path
    replicate_token: str
    temporal_address: str
    listener: WebhookListener
    endpoint_id: str
