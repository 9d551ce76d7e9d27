"""The catalog compared with what the providers say: whom to ask, what to keep of it, and what to tell."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from commands.exit_codes import ExitCode
from commands.screen import Screen
from config import Settings
from errors import ConfigurationError
from providers.catalog import Catalog
from providers.catalog_differences import Difference
from providers.catalog_refresh import ModelSource, Reading
from providers.getimg_models import GetimgModels
from providers.openai_models import OpenAIModels
from providers.override_file import OverrideFile
from providers.replicate_models import ReplicateModels
from providers.wavespeed_models import WaveSpeedModels


def model_sources(settings: Settings) -> dict[str, ModelSource]:
    """Those providers that have a key here, by name. Raises ConfigurationError: none has."""
    known: dict[str, tuple[SecretStr | None, Callable[..., ModelSource], str]] = {
        "replicate": (settings.replicate_api_token, ReplicateModels, settings.replicate_base_url),
        "openai": (settings.openai_api_key, OpenAIModels, settings.openai_base_url),
        "getimg": (settings.getimg_api_key, GetimgModels, settings.getimg_base_url),
        "wavespeed": (settings.wavespeed_api_key, WaveSpeedModels, settings.wavespeed_base_url),
    }
    sources = {name: make(key=key, base_url=url) for name, (key, make, url) in known.items() if key}
    if not sources:
        raise ConfigurationError("No provider has a key here, so there is nobody to ask.")
    return sources


def written(path: Path, readings: Iterable[Reading]) -> Catalog:
    """The catalog with the file as it is now; what was found before stays for models that could not be asked."""
    before = OverrideFile.read(path)
    without = Catalog.load_with(before.own)
    found = dict(before.found)
    for reading in readings:
        if reading.trouble is None:
            entry = without.entry(reading.entry.provider, reading.entry.model)
            found[entry.provider, entry.model] = _fields(reading.differences(entry, datetime.now(UTC).date()))
    OverrideFile(before.own, found).write(path)
    return Catalog.load(path)


def _fields(differences: Iterable[Difference]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    for difference in differences:
        traits |= difference.found.get("traits", {})
        fields |= difference.found
    return {**fields, "traits": traits} if traits else fields


def told(screen: Screen, catalog: Catalog, readings: Sequence[Reading]) -> ExitCode:
    """Tell what differs, what was not read, and who was not asked."""
    today = datetime.now(UTC).date()
    seen: Counter[str] = Counter()
    for reading in readings:
        entry = catalog.entry(reading.entry.provider, reading.entry.model)
        for difference in reading.differences(entry, today):
            seen["refused" if difference.is_refused else "differs"] += 1
            _tell_difference(screen, difference)
        if reading.trouble is not None:
            seen["unread"] += 1
            screen.record("unread", provider=entry.provider, model=entry.model, code=reading.trouble.code)
            screen.say(f"[yellow]not read[/yellow] {entry.provider} {entry.model}: {reading.trouble.title}")
    _tell_who_was_asked(screen, catalog, readings)
    if not seen:
        screen.say("The catalog is as the providers say.")
    if seen["refused"]:
        return ExitCode.failed
    return ExitCode.unreachable if seen["unread"] else ExitCode.ok


def _tell_difference(screen: Screen, told: Difference) -> None:
    facts = {"provider": told.provider, "model": told.model, "what": told.what, "refused": told.is_refused}
    screen.record("difference", **facts)
    word = "[red]refused[/red] " if told.is_refused else "differs "
    screen.say(f"{word} {told.provider} {told.model}: {told.what}")


def _tell_who_was_asked(screen: Screen, catalog: Catalog, readings: Sequence[Reading]) -> None:
    """Silence would look like agreement."""
    for reading in readings:
        if reading.is_undescribed:
            screen.record("undescribed", provider=reading.entry.provider, model=reading.entry.model)
            screen.say(f"not described {reading.entry.provider} {reading.entry.model}: its provider lists it nowhere")
    asked = {reading.entry.provider for reading in readings}
    for provider in catalog.providers:
        if provider.name not in asked:
            screen.record("unasked", provider=provider.name, key_variable=provider.key_variable)
            screen.say(f"not asked {provider.name}: it has no key here ({provider.key_variable})")
    screen.say(f"Asked: {', '.join(sorted(asked))}.")
