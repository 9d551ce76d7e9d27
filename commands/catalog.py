"""`diorama catalog list`, `diorama catalog check` and `diorama catalog refresh`."""

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.table import Column, Table

from commands.catalog_comparison import model_sources, told, written
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from errors import ConfigurationError
from providers.catalog import Catalog
from providers.catalog_refresh import CatalogRefresh
from providers.model_entry import ModelEntry

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

    Costs nothing. Replicate and WaveSpeed tell inputs, OpenAI shutdown dates, getimg's newer API sizes; getimg and WaveSpeed
    tell prices, too. Providers that have no key here are named, and so are models that nobody describes.
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
        sources = model_sources(settings)
        async with CatalogRefresh(catalog, sources) as refreshing:
            readings = [reading async for reading in refreshing.readings()]
        if write and path is not None:
            catalog = written(path, readings)
            screen.say(f"Written to {path}.")
        return told(screen, catalog, readings)

    run(screen, compare())


def _catalog(overrides: Path | None) -> Catalog:
    return Catalog.load(overrides or _OwnSettings().catalog_overrides)


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
