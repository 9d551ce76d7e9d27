"""The providers of this worker: those whose keys are in the settings, and how patiently their jobs are waited for."""

from pydantic import SecretStr

from activities.waiting import WaitingRules
from config import Settings
from errors import ConfigurationError
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
    providers: dict[str, ImageProvider] = {}
    if settings.replicate_api_token:
        providers["replicate"] = ReplicateProvider(
            base_url=settings.replicate_base_url,
            token=settings.replicate_api_token,
            catalog=catalog,
            reads=ReadQuota(settings.replicate_reads_per_minute),
            submit_timeout_s=settings.replicate_submit_timeout_s,
        )
    if settings.openai_api_key:
        providers["openai"] = OpenAIImagesProvider(
            base_url=settings.openai_base_url,
            key=settings.openai_api_key,
            catalog=catalog,
        )
    if settings.getimg_api_key:
        providers["getimg"] = GetimgProvider(
            base_url=settings.getimg_base_url,
            key=settings.getimg_api_key,
            catalog=catalog,
        )
    if settings.wavespeed_api_key:
        providers["wavespeed"] = _wavespeed(settings, settings.wavespeed_api_key, catalog)
    if not providers:
        keys = ", ".join(sorted(provider.key_variable for provider in catalog.providers))
        raise ConfigurationError(f"no image provider has a key: set one of {keys}")
    if settings.crash_lab is None:
        return providers
    reach = fault_points(settings.crash_lab, "worker")
    return {name: ProviderWithFaultPoints(provider, reach) for name, provider in providers.items()}


def _wavespeed(settings: Settings, key: SecretStr, catalog: Catalog) -> WaveSpeedProvider:
    """A lost purchase is waited for as long as its webhook may take, where webhooks can come and be verified."""
    hears_webhooks = bool(settings.public_url and settings.wavespeed_webhook_secret)
    return WaveSpeedProvider(
        base_url=settings.wavespeed_base_url,
        key=key,
        catalog=catalog,
        reads=ReadQuota(WAVESPEED_READS_PER_MINUTE),
        word_within_s=WEBHOOK_WITHIN_S if hears_webhooks else 0.0,
    )


def waiting_rules(settings: Settings) -> WaitingRules:
    """Half of the read quota is for polling; with webhooks the first poll can wait, because it rarely finds news."""
    polls_per_s = settings.replicate_reads_per_minute / 60 / 2
    first_s = 3.0 if settings.public_url else 0.5
    return WaitingRules(first_s=first_s, polls_per_s=polls_per_s)
