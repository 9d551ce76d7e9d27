"""`diorama reconcile`."""

from typing import Annotated

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)

SUBJECTS = ("generation_id", "spend_id", "asset_id", "object_key")


@app.command()
def reconcile(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look; nothing is changed.")] = False,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Look for everything that went astray, and mend it.

    Needs an operator's key. The same happens by itself every minute, a part of the bucket at a time; this goes through all
    of it. Exit code 0: the round is done, whatever it found. Exit code 1: it takes longer than two minutes, and goes on.
    """
    screen = Screen(as_json=as_json)

    async def ask() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            report = await client.reconcile(dry_run=dry_run)
        show_round(screen, report)
        return ExitCode.ok

    run(screen, ask())


def show_round(screen: Screen, report: Json) -> None:
    """What a round found, and what it could not look at."""
    for item in report["items"]:
        screen.record("finding", finding=item)
    screen.record("reconciled", **{name: report[name] for name in ("dry_run", "counts", "skipped")})
    if report["items"]:
        screen.console.print(_table(report["items"]))
    untold = sum(report["counts"].values()) - len(report["items"])
    if untold > 0:
        screen.say(f"and {untold} more")
    for check, code in report["skipped"].items():
        screen.say(f"[yellow]skipped[/yellow] {check}: {code}")
    if not report["counts"]:
        screen.say("Nothing is astray.")
    elif report["dry_run"]:
        screen.say("Nothing was changed. Without --dry-run it is mended.")


def _table(items: list[Json]) -> Table:
    table = Table(Column("kind", no_wrap=True), box=None, header_style="dim")
    for title in ("done", "what", "facts"):
        table.add_column(title)
    for item in items:
        subject = next((f"{name.partition('_')[0]} {item[name]}" for name in SUBJECTS if item[name]), "")
        facts = ", ".join(f"{name} {value}" for name, value in item["facts"].items() if value is not None)
        table.add_row(item["kind"], item["action"], subject, facts)
    return table
