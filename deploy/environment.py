"""The DIORAMA_* variables that a stack gives to the API, the worker and the migrations."""

from collections.abc import Mapping

from deploy.addresses import database_url, stack_addresses
from deploy.options import StackOptions
from deploy.provider_variables import provider_variables
from deploy.stack_ports import LOOPBACK
from deploy.stack_secrets import StackSecrets


def stack_environment(
    ports: Mapping[str, int],
    secrets: StackSecrets,
    options: StackOptions,
    callers: Mapping[str, str],
) -> dict[str, str]:
    """All variables of one stack. `callers` is the environment that real provider keys are taken from."""
    addresses = stack_addresses(ports, secrets)
    return {
        "DIORAMA_DATABASE_URL": database_url(ports, secrets, scheme="postgresql+asyncpg"),
        "DIORAMA_TEMPORAL_ADDRESS": addresses.temporal_address,
        "DIORAMA_TEMPORAL_NAMESPACE": "default",
        "DIORAMA_STORE_ENDPOINT": addresses.store_url,
        "DIORAMA_STORE_PUBLIC_URL": addresses.store_url,
        "DIORAMA_STORE_ACCESS_KEY": secrets.store_access_key,
        "DIORAMA_STORE_SECRET_KEY": secrets.store_secret_key,
        "DIORAMA_STORE_BUCKET": "diorama",
        "DIORAMA_PUBLIC_URL": addresses.api_url,
        "DIORAMA_API_HOST": options.api_host,
        "DIORAMA_API_PORT": str(ports["api"]),
        "DIORAMA_WORKER_HEALTH_PORT": str(ports["worker_health"]),
        "DIORAMA_API_KEY_PEPPER": secrets.api_key_pepper,
        "DIORAMA_TOKEN_SECRET": secrets.token_secret,
        "DIORAMA_IMAGE_URL_HOSTS": ",".join(options.image_url_hosts),
        "DIORAMA_BOOTSTRAP_API_KEY": secrets.bootstrap_api_key,
        **provider_variables(addresses.sandbox_url, secrets, options, callers),
        **options.settings,
    }


def without_proxy(callers: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY variables that keep a proxy of the caller's out of the stack's own traffic."""
    present = callers.get("NO_PROXY") or callers.get("no_proxy") or ""
    value = ",".join(filter(None, [present, LOOPBACK, "localhost"]))
    return {"NO_PROXY": value, "no_proxy": value}
