"""`diorama reconcile-bill`."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from api.csv_answer import csv_line
from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.saving import write
from commands.screen import Screen
from commands.troubles import CommandUnusable
from contracts.bills import BillItem

app = typer.Typer(add_completion=False)

PATH: Final = "/v1/operations/bills"
DAY: Final = ["%Y-%m-%d"]
SHOWN: Final = 50
# The most that an answer in JSON has.
MOST_ITEMS: Final = 10_000
WORDS: Final = {
    "only_theirs": "only on the bill",
    "only_ours": "only in our ledger",
    "amount_differs": "another amount",
    "not_settled": "not settled yet",
}


@app.command()
def reconcile_bill(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Whose bill it is, for example replicate.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The provider's export, as CSV.")],
    *,
    columns: Annotated[
        str, typer.Option(help="What its columns are called, where not as usual: id=Prediction,cost=Price.")
    ] = "",
    since: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="Its first day, by UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Its last day, included.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all differences to this file, too.")] = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Compare a provider's bill with our ledger.

    Needs an operator's key. Exit code 0: they say the same; 1: they differ. Nothing is changed.
    """
    screen = Screen(as_json=as_json)
    days = {"from": since, "to": until}
    query = {"provider": provider, "columns": columns}
    query |= {name: day.date().isoformat() for name, day in days.items() if day is not None}

    async def compare() -> ExitCode:
        bill = _read(file)
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            headers = {"Content-Type": "text/csv"}
            limit = {} if csv is None else {"limit": str(MOST_ITEMS)}
            answer = await client.exchange("POST", PATH, query=query | limit, content=bill, headers=headers)
            report: Json = json.loads(answer)
            if csv is not None and not report["truncated"]:
                write(csv, _lines(report["items"]))
            elif csv is not None:  # only then is the bill sent, and its comparison audited, again
                headers["Accept"] = "text/csv"
                write(csv, await client.exchange("POST", PATH, query=query, content=bill, headers=headers))
        _show(screen, report, csv)
        return ExitCode.failed if any(report["counts"].values()) else ExitCode.ok

    run(screen, compare())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as trouble:
        raise CommandUnusable(f"The file {file} cannot be read: {trouble.strerror}.") from trouble


def _lines(items: list[Json]) -> bytes:
    """As the API writes them."""
    found = [BillItem.model_validate(item) for item in items]
    return b"".join([csv_line([*BillItem.model_fields]), *(csv_line([*dict(item).values()]) for item in found)])


def _show(screen: Screen, report: Json, csv: Path | None) -> None:
    for item in report["items"]:
        screen.record("difference", difference=item)
    screen.record("compared", **{name: value for name, value in report.items() if name != "items"})
    screen.say(f"{report['provider']}, {report['since'][:16]} to {report['until'][:16]} (UTC)")
    screen.console.print(_totals(report))
    if report["items"]:
        screen.console.print(_table(report["items"][:SHOWN]))
    untold = sum(report["counts"].values()) - min(SHOWN, len(report["items"]))
    if untold > 0:
        screen.say(f"and {untold} more")
    if not any(report["counts"].values()):
        screen.say("Bill and ledger say the same.")
    elif csv is not None:
        screen.say(f"All of them are in {csv}.")


def _totals(report: Json) -> Table:
    table = Table("", "jobs", "USD", box=None, header_style="dim")
    table.columns[1].justify = table.columns[2].justify = "right"
    table.add_row("on the bill", str(report["lines"]), _usd(report["theirs_usd"]))
    matched_usd = Decimal(report["ours_usd"]) - Decimal(report["only_ours_usd"])
    table.add_row("matched by our ledger", str(report["matched"]), _usd(matched_usd))
    money = {"only_theirs": report["only_theirs_usd"], "only_ours": report["only_ours_usd"]}
    for verdict, words in WORDS.items():
        if report["counts"][verdict]:
            table.add_row(words, str(report["counts"][verdict]), _usd(money.get(verdict)))
    table.add_row("difference", "", _usd(report["difference_usd"]))
    return table


def _table(items: list[Json]) -> Table:
    table = Table("what", "job", "model", "theirs", "ours", "apart", "generation", box=None, header_style="dim")
    for item in items:
        amounts = [_usd(item[name]) for name in ("theirs_usd", "ours_usd", "difference_usd")]
        names = [escape(item[name] or "-") for name in ("job_id", "model")]
        table.add_row(WORDS[item["verdict"]], *names, *amounts, item["generation_id"] or "-")
    return table


def _usd(amount: str | Decimal | None) -> str:
    return "" if amount is None else f"{Decimal(amount):.4f}"
