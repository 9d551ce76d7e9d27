"""`diorama usage`."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import DioramaClient, Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.saving import write
from commands.screen import Screen

app = typer.Typer(add_completion=False)

PATH: Final = "/v1/usage"
BAR: Final = 24
# More lines are for a spreadsheet.
MOST_LINES: Final = 1000
DAY: Final = ["%Y-%m-%d"]


@app.command()
def usage(
    *,
    by: Annotated[
        str,
        typer.Option(help="One to three, with commas: day, key, user, session, tag, kind, provider, model, tenant."),
    ] = "day",
    since: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First day, by UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last day. Default: today.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all groups to this file instead.")] = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what was asked for, bought and spent, by day or otherwise.

    Without --from it is 30 days. By tenant, which needs an operator's key, it is that of all tenants.
    """
    screen = Screen(as_json=as_json)
    days = {"from": since, "to": until}
    query = {"group_by": by} | {name: day.date().isoformat() for name, day in days.items() if day is not None}

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            if csv is not None:
                await _save(screen, client, query, csv)
            else:
                _show(screen, await client.ask("GET", PATH, query=query | {"limit": str(MOST_LINES)}))
        return ExitCode.ok

    run(screen, show())


async def _save(screen: Screen, client: DioramaClient, query: dict[str, str], path: Path) -> None:
    body = await client.exchange("GET", PATH, query=query, headers={"Accept": "text/csv"})
    write(path, body)
    lines = max(0, len(body.splitlines()) - 1)
    screen.record("saved", path=str(path), groups=lines)
    screen.say(f"{lines} groups are in {path}.")


def _show(screen: Screen, found: Json) -> None:
    for item in found["items"]:
        screen.record("usage", usage=item)
    screen.record("totals", totals=found["totals"], truncated=found["truncated"], **_days(found))
    if not found["items"]:
        screen.say(f"Nothing was asked for from {found['from']} to {found['to']}.")
        return
    screen.console.print(_table(found))
    if found["truncated"]:
        screen.say("There are more groups: --csv FILE has all of them.")


def _days(found: Json) -> Json:
    return {name: found[name] for name in ("from", "to", "group_by")}


def _table(found: Json) -> Table:
    groups: list[str] = found["group_by"]
    table = Table(*groups, box=None, header_style="dim", show_footer=True)
    for title in ("generations", "pictures", "bought", "failed", "USD", "own keys", "held"):
        table.add_column(title, justify="right")
    table.add_column("", no_wrap=True, min_width=BAR)
    most = max((Decimal(item["cost_usd"]) for item in found["items"]), default=Decimal(0))
    for item in found["items"]:
        names = [escape(item["group"][name] or "-") for name in groups]
        table.add_row(*names, *_figures(item), _bar(Decimal(item["cost_usd"]), most))
    footers = ["all", *[""] * (len(groups) - 1), *_figures(found["totals"]), ""]
    for column, footer in zip(table.columns, footers, strict=True):
        column.footer = footer
    return table


def _figures(item: Json) -> list[str]:
    counts = [str(item[name]) for name in ("generations", "pictures", "purchases", "failed_purchases")]
    return [*counts, *(f"{Decimal(item[name]):.4f}" for name in ("cost_usd", "own_keys_usd", "held_usd"))]


def _bar(usd: Decimal, most: Decimal) -> str:
    return "█" * max(1, round(BAR * usd / most)) if usd and most else ""
