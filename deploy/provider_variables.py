"""The DIORAMA_* variables that lead to each provider: to the real one with the caller's key, or to the sandbox."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.options import StackOptions
from deploy.stack_secrets import StackSecrets


@dataclass(frozen=True)
class ProviderVariables:
    """One provider: all its variables begin with `prefix`; with `key` set in the caller's environment it can be the real one.

    `sandbox` gives the variables that lead to the sandbox, from the sandbox's URL and the stack's secrets.
    """

    prefix: str
    key: str
    sandbox: Callable[[str, StackSecrets], dict[str, str]]


PROVIDERS = {
    "replicate": ProviderVariables(
        prefix="DIORAMA_REPLICATE_",
        key="DIORAMA_REPLICATE_API_TOKEN",
        sandbox=lambda url, secrets: {
            "DIORAMA_REPLICATE_API_TOKEN": secrets.replicate_api_token,
            "DIORAMA_REPLICATE_BASE_URL": f"{url}/replicate",
            "DIORAMA_REPLICATE_WEBHOOK_SECRET": secrets.webhook_secret,
        },
    ),
    "openai": ProviderVariables(
        prefix="DIORAMA_OPENAI_",
        key="DIORAMA_OPENAI_API_KEY",
        sandbox=lambda url, secrets: {
            "DIORAMA_OPENAI_API_KEY": secrets.openai_api_key,
            "DIORAMA_OPENAI_BASE_URL": f"{url}/openai/v1",
        },
    ),
    "getimg": ProviderVariables(
        prefix="DIORAMA_GETIMG_",
        key="DIORAMA_GETIMG_API_KEY",
        sandbox=lambda url, secrets: {
            "DIORAMA_GETIMG_API_KEY": secrets.getimg_api_key,
            "DIORAMA_GETIMG_BASE_URL": f"{url}/getimg",
            "DIORAMA_GETIMG_CREATES_PER_MINUTE": "600",  # as the sandbox itself allows
        },
    ),
    "wavespeed": ProviderVariables(
        prefix="DIORAMA_WAVESPEED_",
        key="DIORAMA_WAVESPEED_API_KEY",
        sandbox=lambda url, secrets: {
            "DIORAMA_WAVESPEED_API_KEY": secrets.wavespeed_api_key,
            "DIORAMA_WAVESPEED_BASE_URL": f"{url}/wavespeed",
            "DIORAMA_WAVESPEED_WEBHOOK_SECRET": secrets.webhook_secret,
        },
    ),
}


def provider_variables(
    sandbox_url: str, secrets: StackSecrets, options: StackOptions, callers: Mapping[str, str]
) -> dict[str, str]:
    """The variables of all providers that this stack has.

    Those are the ones of the options, and the real ones whose keys are in the caller's environment, where real ones are wanted.
    Raises ValueError: the options name a provider that there is not.
    """
    if unknown := options.providers - PROVIDERS.keys():
        raise ValueError(f"unknown providers: {', '.join(sorted(unknown))}")
    told: dict[str, str] = {}
    for name, provider in PROVIDERS.items():
        if uses_real_provider(name, options, callers):
            told |= {variable: value for variable, value in callers.items() if variable.startswith(provider.prefix)}
        elif name in options.providers:
            told |= provider.sandbox(sandbox_url, secrets)
    return told


def uses_real_provider(provider: str, options: StackOptions, callers: Mapping[str, str]) -> bool:
    """Whether this provider is the real one: asked for, and its key is there."""
    return options.real_providers and bool(callers.get(PROVIDERS[provider].key))
