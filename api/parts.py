"""What an API process needs no server for, built from the settings: a wrong one is found before anything starts."""

import asyncio
from dataclasses import dataclass
from typing import Self

from temporalio.converter import DataConverter

from api.metrics import Metrics
from api.provider_webhooks import WebhookVerifier, make_verifiers
from api.quotes import Quoter
from config import Settings
from db.credential_safe import CredentialSafe
from db.engine import DatabasePatience
from errors import ConfigurationError
from fault_points import fault_points
from prompts.library import PromptLibrary
from prompts.themes import Themes
from providers.catalog import Catalog
from providers.openai_moderation import OpenAIModeration
from storage.base import ObjectStorage
from storage.minio_storage import MinioStorage
from storage.with_fault_points import StorageWithFaultPoints
from temporal_client import data_converter

# Clients are told that the store is away before their own patience ends (usually 30 s); the worker has more. Not less than this:
# a store whose disk is busy was seen to take over 3 s for one small put.
STORE_SILENCE_S = 10
STORE_PUT_S = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects of one API process that reach nothing yet."""

    metrics: Metrics
    stopping: asyncio.Event
    storage: ObjectStorage
    catalog: Catalog
    themes: Themes
    quoter: Quoter
    webhook_verifiers: dict[str, WebhookVerifier]
    credential_safe: CredentialSafe | None
    converter: DataConverter
    moderator: OpenAIModeration | None
    patience: DatabasePatience

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        stopping: asyncio.Event | None,
        storage: ObjectStorage | None,
        patience: DatabasePatience,
    ) -> Self:
        """Raises ConfigurationError."""
        catalog = Catalog.load(settings.catalog_overrides)
        ring = settings.credential_key_ring
        return cls(
            metrics=Metrics(),
            stopping=stopping or asyncio.Event(),
            storage=storage or _storage(settings),
            catalog=catalog,
            themes=PromptLibrary.load().themes,
            quoter=Quoter(catalog, configured=settings.providers, review_above_usd=settings.review_above_usd),
            webhook_verifiers=make_verifiers(
                {"replicate": settings.replicate_webhook_secret, "wavespeed": settings.wavespeed_webhook_secret}
            ),
            credential_safe=None if ring is None else CredentialSafe(ring),
            converter=data_converter(settings.payload_key_ring),
            moderator=_moderator(settings),
            patience=patience,
        )


def _moderator(settings: Settings) -> OpenAIModeration | None:
    """Who looks at prompts beside our own rules. Raises ConfigurationError."""
    if settings.prompt_moderation != "openai":
        return None
    if settings.openai_api_key is None:
        raise ConfigurationError("DIORAMA_PROMPT_MODERATION is openai, and DIORAMA_OPENAI_API_KEY is not set.")
    from providers.openai_checks import OpenAIChecks  # noqa: PLC0415 half a second of each start, for those who want it

    checks = OpenAIChecks(key=settings.openai_api_key, base_url=settings.openai_base_url, timeout_s=3.0, repeats=1)
    return OpenAIModeration(checks)


def _storage(settings: Settings) -> ObjectStorage:
    storage = MinioStorage(
        endpoint=settings.store_endpoint,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key.get_secret_value(),
        bucket=settings.store_bucket,
        public_url=settings.store_public_url,
        silence_s=STORE_SILENCE_S,
        put_s=STORE_PUT_S,
    )
    if settings.crash_lab is None:
        return storage
    return StorageWithFaultPoints(storage, fault_points(settings.crash_lab, "api"))
