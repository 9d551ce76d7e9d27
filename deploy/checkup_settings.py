"""Looks at the settings: complete, valid, and which providers they lead to."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from config import Settings, secrets_in_files
from deploy.finding import Finding, ok, problem, warning
from deploy.options import USUAL_PROVIDERS
from deploy.provider_variables import PROVIDERS
from errors import ConfigurationError

PREFIX = "DIORAMA_"


class GivenSettings(Settings):
    """Settings from one given environment (and .env), whatever the environment of this process is."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the environment of this process."""
        return init_settings, dotenv_settings


def read_settings(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """The settings when they can be used, and what is to be said about them."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    try:
        settings = GivenSettings.model_validate(given | secrets_in_files(given))
    except ConfigurationError as error:
        todo = "Name a file that this user can read, or set the variable itself."
        return None, [problem("A secret's file is not usable", error.detail, todo)]
    except ValidationError as error:
        return None, _explain(error)
    return settings, [ok("The settings are complete")]


def _explain(error: ValidationError) -> list[Finding]:
    """One finding per variable; the value is left out, for it may be a secret."""
    findings = []
    for wrong in error.errors(include_input=False, include_url=False):
        name = PREFIX + "_".join(str(part) for part in wrong["loc"]).upper()
        if wrong["type"] == "missing":
            todo = f"Set {name} in the environment or in a .env file; `diorama up` sets all of them."
            findings.append(problem(f"{name} is not set", "It has no default.", todo))
        else:
            todo = f"Correct {name} in the environment or in the .env file."
            findings.append(problem(f"{name} is not usable", wrong["msg"], todo))
    return findings


def check_providers(settings: Settings) -> list[Finding]:
    """Which providers have a key, and whether they are real ones."""
    if not settings.providers:
        keys = ", ".join(provider.key for provider in PROVIDERS.values())
        todo = f"Set one of {keys}, or use `diorama up` with its sandbox."
        return [problem("No provider has a key", "Without one no picture can be bought.", todo)]
    urls: dict[str, str] = {name: getattr(settings, f"{name}_base_url") for name in PROVIDERS}
    shown = [name for name in urls if name in USUAL_PROVIDERS | settings.providers]
    return [_describe(name, urls[name], present=name in settings.providers) for name in shown]


def _describe(name: str, url: str, *, present: bool) -> Finding:
    if not present:
        todo = f"Set its key if {name} is to be used."
        return warning(f"{name}: no key", "Its models are not offered.", todo)
    if _is_on_this_machine(url):
        return ok(f"{name}: the sandbox at {url}", "Pictures are stand-ins and cost nothing.")
    return ok(f"{name}: the real provider at {url}", "Pictures cost money.")


def _is_on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
