"""The providers of this worker: those whose keys are in the settings, and how patiently their jobs are waited for."""

from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

from activities.accounts import Accounts, OwnAccounts
from activities.waiting import WaitingRules
from config import Settings
from db.credential_safe import CredentialSafe
from db.engine import Database
from errors import ConfigurationError, ProviderCredentials
from fault_points import fault_points
from providers.base import ImageProvider
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from providers.openai_images import OpenAIImagesProvider
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.wavespeed import WaveSpeedProvider
from providers.with_fault_points import ProviderWithFaultPoints

# A task at WaveSpeed takes seconds, and its webhook follows at once.
WEBHOOK_WITHIN_S = 60.0
# Only its purchases have a documented limit: our own restraint. A picture takes two reads, and one more for each upload.
WAVESPEED_READS_PER_MINUTE = 3000


def make_providers(settings: Settings, catalog: Catalog) -> dict[str, ImageProvider]:
    """The providers that have a key here, by name."""
    keys = {
        "replicate": settings.replicate_api_token,
        "openai": settings.openai_api_key,
        "getimg": settings.getimg_api_key,
        "wavespeed": settings.wavespeed_api_key,
    }
    providers = {name: make_provider(name, key, settings, catalog) for name, key in keys.items() if key}
    if not providers:
        variables = ", ".join(sorted(provider.key_variable for provider in catalog.providers))
        raise ConfigurationError(f"no image provider has a key: set one of {variables}")
    return providers


def make_accounts(
    settings: Settings, catalog: Catalog, providers: dict[str, ImageProvider], database: Database
) -> tuple[Accounts, OwnAccounts]:
    """The providers with the service's keys and with those of tenants; the latter are to be closed by themselves."""

    def make(name: str, key: str) -> ImageProvider:
        try:
            return make_provider(name, SecretStr(key), settings, catalog, is_ours=False)
        except ConfigurationError as error:  # it has characters that no key of this provider has
            raise ProviderCredentials(error.detail) from None

    ring = settings.credential_key_ring
    own = OwnAccounts(database, CredentialSafe(ring) if ring else None, make)
    return Accounts(providers, own), own


def make_provider(
    name: str, key: SecretStr, settings: Settings, catalog: Catalog, *, is_ours: bool = True
) -> ImageProvider:
    """One provider, with this key. `is_ours`: it is the service's, whose webhooks can be verified."""
    provider = MAKERS[name](key, settings, catalog, is_ours)
    if settings.crash_lab is None:
        return provider
    return ProviderWithFaultPoints(provider, fault_points(settings.crash_lab, "worker"))


def _replicate(key: SecretStr, settings: Settings, catalog: Catalog, _is_ours: bool) -> ImageProvider:
    return ReplicateProvider(
        base_url=settings.replicate_base_url,
        token=key,
        catalog=catalog,
        reads=ReadQuota(settings.replicate_reads_per_minute),
        submit_timeout_s=settings.replicate_submit_timeout_s,
    )


def _openai(key: SecretStr, settings: Settings, catalog: Catalog, _is_ours: bool) -> ImageProvider:
    return OpenAIImagesProvider(base_url=settings.openai_base_url, key=key, catalog=catalog)


def _getimg(key: SecretStr, settings: Settings, catalog: Catalog, _is_ours: bool) -> ImageProvider:
    return GetimgProvider(base_url=settings.getimg_base_url, key=key, catalog=catalog)


def _wavespeed(key: SecretStr, settings: Settings, catalog: Catalog, is_ours: bool) -> ImageProvider:
    """A lost purchase is waited for as long as its webhook may take, where webhooks can come and be verified."""
    hears_webhooks = bool(is_ours and settings.public_url and settings.wavespeed_webhook_secret)
    return WaveSpeedProvider(
        base_url=settings.wavespeed_base_url,
        key=key,
        catalog=catalog,
        reads=ReadQuota(WAVESPEED_READS_PER_MINUTE),
        word_within_s=WEBHOOK_WITHIN_S if hears_webhooks else 0.0,
    )


MAKERS: Final[dict[str, Callable[[SecretStr, Settings, Catalog, bool], ImageProvider]]] = {
    "replicate": _replicate,
    "openai": _openai,
    "getimg": _getimg,
    "wavespeed": _wavespeed,
}


def waiting_rules(settings: Settings) -> WaitingRules:
    """Half of the read quota is for polling; with webhooks the first poll can wait, because it rarely finds news."""
    polls_per_s = settings.replicate_reads_per_minute / 60 / 2
    first_s = 3.0 if settings.public_url else 0.5
    return WaitingRules(first_s=first_s, polls_per_s=polls_per_s)
