"""`diorama catalog list`, `diorama catalog check` and `diorama catalog refresh`."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.table import Column, Table

from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from config import Settings
from errors import ConfigurationError
from providers.catalog import Catalog
from providers.catalog_differences import Difference
from providers.catalog_refresh import CatalogRefresh, ModelSource, OpenAIModels, Reading, ReplicateModels
from providers.model_entry import ModelEntry
from providers.override_file import OverrideFile

app = typer.Typer(add_completion=False, no_args_is_help=True)

Overrides = Annotated[
    Path | None,
    typer.Option("--overrides", help="The file of overrides. Default: DIORAMA_CATALOG_OVERRIDES, if it is set."),
]
OLD = timedelta(days=90)  # vendors change their prices a few times a year


class _OwnSettings(BaseSettings):
    """What these commands need where no server is set up; from the environment or .env, as the servers read it."""

    model_config = SettingsConfigDict(env_prefix="DIORAMA_", env_file=".env", extra="ignore")

    catalog_overrides: Path | None = None


@app.callback()
def every() -> None:
    """See the models that can be bought from, and compare them with what the providers say.

    The catalog comes with the program; a file of overrides changes rows of it.
    """


@app.command("list")
def list_models(*, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """List the models, in the order in which they are tried."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        catalog = _catalog(overrides)
        for entry in catalog.models:
            screen.record("model", **entry.model_dump(mode="json"))
        screen.console.print(_table(catalog.models))
        return ExitCode.ok

    run(screen, show())


@app.command()
def check(*, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Check every row, and name models that end soon and prices that are old.

    Asks nobody. Exit code 2: a row is wrong.
    """
    screen = Screen(as_json=as_json)

    async def look() -> ExitCode:
        catalog = _catalog(overrides)
        today = datetime.now(UTC).date()
        remarks = [(entry, remark) for entry in catalog.models for remark in _remarks(entry, today)]
        for entry, remark in remarks:
            screen.record("remark", provider=entry.provider, model=entry.model, what=remark)
            screen.say(f"{entry.provider} {entry.model}: {remark}")
        screen.say(f"{len(catalog.models)} models of {len(catalog.providers)} providers: every row is valid.")
        return ExitCode.ok

    run(screen, look())


@app.command()
def refresh(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Put shutdown dates and ranges that were found into the file of overrides.")
    ] = False,
    overrides: Overrides = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Ask the providers what they say of their models today, and print what differs.

    Costs nothing; asks the providers that have a key and describe their models (Replicate: inputs; OpenAI: shutdown dates).
    Exit code 1: something that we send would be refused. Exit code 3: a provider could not be asked.
    """
    screen = Screen(as_json=as_json)
    # Refusals are what is looked for: they are told below, and a log on standard output would be in the machines' way.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    async def compare() -> ExitCode:
        settings = await server_settings(stack_dir)
        path = overrides or settings.catalog_overrides
        if write and path is None:
            raise ConfigurationError(
                "There is no file to write to: give --overrides, or set DIORAMA_CATALOG_OVERRIDES."
            )
        catalog = Catalog.load(path if path is not None and path.exists() else None)
        async with CatalogRefresh(catalog, _sources(settings)) as refreshing:
            readings = [reading async for reading in refreshing.readings()]
        if write and path is not None:
            catalog = _written(path, readings)
            screen.say(f"Written to {path}.")
        return _told(screen, catalog, readings)

    run(screen, compare())


def _catalog(overrides: Path | None) -> Catalog:
    return Catalog.load(overrides or _OwnSettings().catalog_overrides)


def _sources(settings: Settings) -> dict[str, ModelSource]:
    sources: dict[str, ModelSource] = {}
    if settings.replicate_api_token:
        sources["replicate"] = ReplicateModels(token=settings.replicate_api_token, base_url=settings.replicate_base_url)
    if settings.openai_api_key:
        sources["openai"] = OpenAIModels(key=settings.openai_api_key, base_url=settings.openai_base_url)
    if not sources:
        raise ConfigurationError("No provider that describes its models has a key here.")
    return sources


def _written(path: Path, readings: Iterable[Reading]) -> Catalog:
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


def _told(screen: Screen, catalog: Catalog, readings: Iterable[Reading]) -> ExitCode:
    today = datetime.now(UTC).date()
    seen: dict[str, int] = defaultdict(int)
    for reading in readings:
        entry = catalog.entry(reading.entry.provider, reading.entry.model)
        if reading.trouble is not None:
            seen["unread"] += 1
            screen.record("unread", provider=entry.provider, model=entry.model, code=reading.trouble.code)
            screen.say(f"[yellow]not read[/yellow] {entry.provider} {entry.model}: {reading.trouble.title}")
        for told in reading.differences(entry, today):
            seen["refused" if told.is_refused else "differs"] += 1
            facts = {"provider": told.provider, "model": told.model, "what": told.what, "refused": told.is_refused}
            screen.record("difference", **facts)
            word = "[red]refused[/red] " if told.is_refused else "differs "
            screen.say(f"{word} {told.provider} {told.model}: {told.what}")
    if not seen:
        screen.say("The catalog is as the providers say.")
    if seen["refused"]:
        return ExitCode.failed
    return ExitCode.unreachable if seen["unread"] else ExitCode.ok


def _remarks(entry: ModelEntry, today: date) -> list[str]:
    remarks = []
    if entry.is_retired(today):
        remarks.append(f"was shut down on {entry.shutdown}")
    elif entry.ends_soon(today):
        instead = f"; use {entry.replaced_by}" if entry.replaced_by else ""
        remarks.append(f"is shut down on {entry.shutdown}{instead}")
    if today - entry.checked > OLD:
        remarks.append(f"its prices were checked on {entry.checked}: compare them with an invoice")
    return remarks


def _table(models: Iterable[ModelEntry]) -> Table:
    table = Table(Column("provider", no_wrap=True), Column("model", no_wrap=True), box=None, header_style="dim")
    for title in ("can", "pictures", "quality", "recommended", "ends"):
        table.add_column(title)
    for entry in models:
        table.add_row(
            entry.provider,
            entry.model,
            ", ".join(name.replace("_", " ") for name in entry.capabilities),
            str(entry.max_references),
            str(entry.quality_rank),
            "yes" if entry.automatic else "",
            str(entry.shutdown or ""),
        )
    return table
